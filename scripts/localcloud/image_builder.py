"""The build service of a deployment, in a container: from the image that was just pushed.

It shares the machine's network, listens on 127.0.0.1 alone, and finds the emulated account there. What it
is told stands in the module's output `ImageBuilderEnvironment`; its secrets come from the account's Secrets
Manager and lie in files that only its user can read.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import commands
from .emulator import aws_environment, client
from .engine import Engine
from .errors import LocalCloudError
from .layout import REPOSITORY, Layout
from .outputs import Outputs
from .progress import Progress
from .services import INTERVAL, answers, tail

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SERVICE = "image-builder"
USER = 1000  # of the service in its image
START_SECONDS = 180.0
PASSWORD = "DCRX_KV_ADMIN_PASSWORD"  # noqa: S105  name of a variable
USERNAME = "DCRX_KV_ADMIN_USERNAME"
IMAGE, ENVIRONMENT = "ImageBuilderImageDigestUri", "ImageBuilderEnvironment"
SECRETS = ("ImageBuilderSecretName", "ImageBuilderAdministratorSecretName")
# What commands of builds need of the engine; the module's README has the reason of each.
PROFILE = REPOSITORY / "modules" / "image-builder" / "image" / "seccomp.json"
NOT_STARTED = ""  # in place of a fingerprint
PATHS = {"docker": "systempaths=unconfined", "podman": "unmask=ALL"}


@dataclass(frozen=True)
class Running:
    """The service that this cloud runs.

    Attributes:
        deployment: `project/deployment` that it belongs to.
        container: name of its container.
        address: its URL.
        made_from: fingerprint of all that it was started with; empty when it did not get ready.
    """

    deployment: str
    container: str
    address: str
    made_from: str


@dataclass(frozen=True)
class ImageBuilder:
    """The service of one local cloud: one at most, that of the deployment which was applied last."""

    layout: Layout

    @property
    def folder(self) -> Path:
        """Records, secrets and database of the service."""
        return self.layout.state / SERVICE

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.layout.image_builder_port}"

    @property
    def password_file(self) -> Path:
        """The file with the first administrator's password."""
        return self.folder / "secrets" / PASSWORD

    def running(self, engine: Engine | None) -> Running | None:
        """The service, when its container runs."""
        found = self._recorded()
        if found is None or engine is None:
            return None
        state = _docker(engine, "inspect", "--format", "{{.State.Running}}", found.container)
        return found if state.returncode == 0 and state.stdout.strip() == "true" else None

    def ensure(self, engine: Engine, deployment: str, outputs: Outputs, progress: Progress) -> None:
        """Run the service that a deployment's outputs name; without one, leave things as they are.

        Raises:
            LocalCloudError: it did not get ready; with the end of its log.
        """
        module = next((values for values in outputs.values() if IMAGE in values), None)
        if module is None:
            return
        secrets = self._secrets(module)
        variables = self._variables(module)
        made_from = _fingerprint(deployment, module[IMAGE], variables, secrets, engine.kind)
        running = self.running(engine)
        if running is None or running.made_from != made_from:
            with progress.step("starting image-builder"):
                self._remove(engine, secrets)
                try:
                    self._start(engine, module[IMAGE], variables, secrets)
                    self._wait(engine)
                except BaseException:
                    # Users, jobs and secrets stay for the next start; `destroy` finds them by the record.
                    _docker(engine, "rm", "--force", "--volumes", self._container)
                    self._record(Running(deployment, self._container, self.address, NOT_STARTED))
                    raise
                self._record(Running(deployment, self._container, self.address, made_from))
        user = secrets[USERNAME]
        progress.say(f"image-builder: {self.address}/docs, user {user}, password: cat {self.password_file}")

    def stop(self, engine: Engine | None) -> bool:
        """Remove container and files, but for its log; whether there was something."""
        there = self.folder.is_dir()
        if engine is not None and there:
            self._log(engine)
            _docker(engine, "rm", "--force", "--volumes", self._container)
        shutil.rmtree(self.folder, ignore_errors=True)
        return there

    def stop_of(self, engine: Engine | None, deployment: str) -> None:
        """Stop it when it belongs to this deployment."""
        found = self._recorded()
        if found is not None and found.deployment == deployment:
            self.stop(engine)

    def _remove(self, engine: Engine, secrets: Mapping[str, str]) -> None:
        """Before another start: the database stays, unless its users belong to other secrets."""
        kept = {path.name: path.read_text("utf-8") for path in (self.folder / "secrets").glob("*")}
        if kept != secrets:
            self.stop(engine)
        _docker(engine, "rm", "--force", "--volumes", self._container)

    @property
    def _container(self) -> str:
        """A name of its own for each cloud, for several may share one engine."""
        return f"airgap-image-builder-{hashlib.sha256(str(self.layout.state).encode()).hexdigest()[:12]}"

    def _secrets(self, module: Mapping[str, str]) -> dict[str, str]:
        secrets: SecretsManagerClient = client(self.layout, "secretsmanager")
        found: dict[str, str] = {}
        for output in SECRETS:
            found |= json.loads(secrets.get_secret_value(SecretId=module[output])["SecretString"])
        return found

    def _variables(self, module: Mapping[str, str]) -> dict[str, str]:
        own: dict[str, str] = json.loads(module[ENVIRONMENT])
        loopback = {"DCRX_KV_LISTEN_HOST": "127.0.0.1", "DCRX_KV_DATABASE_NAME": "/data/dcrx"}
        account = aws_environment(self.layout)
        # Files of AWS are not there in the container, and need not be hidden.
        account = {name: value for name, value in account.items() if not name.endswith("_FILE")}
        return {**own, **account, **loopback}

    def _start(
        self, engine: Engine, image: str, variables: Mapping[str, str], secrets: Mapping[str, str]
    ) -> None:
        self._write(secrets)
        (self.folder / "variables").write_text(
            "".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8"
        )
        # The engine does not know the registry by ECR's name.
        local = image.replace(f"{self.layout.ecr_host}/", f"127.0.0.1:{self.layout.emulator_port}/")
        files = [f"--env={name}_FILE=/secrets/{name}" for name in secrets]
        options = [
            *("--detach", "--name", self._container, "--network", "host", "--no-healthcheck"),
            *(
                "--volume",
                f"{self.folder / 'secrets'}:/secrets:ro",
                "--volume",
                f"{self.folder / 'data'}:/data",
            ),
            *("--env-file", str(self.folder / "variables"), *files),
            *("--security-opt", f"seccomp={PROFILE}", "--security-opt", PATHS[engine.kind]),
            *("--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID"),
        ]
        command = ["image-builder", "server", "run", "--port", str(self.layout.image_builder_port)]
        commands.run([engine.program, "pull", "--quiet", local], {**os.environ, **engine.environment})
        commands.run([engine.program, "run", *options, local, *command], {**os.environ, **engine.environment})

    def _write(self, secrets: Mapping[str, str]) -> None:
        for folder in (self.folder, self.folder / "secrets", self.folder / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        for name, value in secrets.items():
            file = self.folder / "secrets" / name
            file.touch(mode=0o600)
            file.write_text(value, encoding="utf-8")
            _give(file)
        for name in ("secrets", "data"):
            (self.folder / name).chmod(0o700)
            _give(self.folder / name)

    def _wait(self, engine: Engine) -> None:
        ready = answers(self.layout.image_builder_port, "/health/ready")
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            state = _docker(engine, "inspect", "--format", "{{.State.Running}}", self._container)
            if state.stdout.strip() != "true" or time.monotonic() > deadline:
                raise LocalCloudError(f"image-builder did not start:\n{self._log(engine)}")
            time.sleep(INTERVAL)

    def _log(self, engine: Engine) -> str:
        """The end of the container's log, which is kept beside the others."""
        said = _docker(engine, "logs", self._container)
        self.layout.logs.mkdir(parents=True, exist_ok=True)
        log = self.layout.logs / f"{SERVICE}.log"
        log.write_text(said.stdout + said.stderr, encoding="utf-8")
        return tail(log)

    def _recorded(self) -> Running | None:
        try:
            return Running(**json.loads((self.folder / "running.json").read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _record(self, running: Running) -> None:
        (self.folder / "running.json").write_text(json.dumps(running.__dict__), encoding="utf-8")


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _give(path: Path) -> None:
    """To the service's user; where we are not root, the engine maps that user to us or to nobody."""
    if os.geteuid() == 0:
        os.chown(path, USER, USER)


def _docker(engine: Engine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [engine.program, *arguments],
        env={**os.environ, **engine.environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
