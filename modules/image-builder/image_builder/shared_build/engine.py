"""Drives the container engine: `docker`, or podman through the same command line."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, NoReturn, cast

from ..shared.ecr import Login
from ..shared.errors import UserError

PROGRAM = "docker"
TAIL_LINES = 8
# From this major version on, docker's client leaves BuildKit to the buildx plugin.
BUILDX_CLIENT = 23


@dataclass(frozen=True)
class LocalImage:
    """An image that the engine holds.

    Attributes:
        reference: `repository@sha256:…` as its registry has it; the name of one that was made here.
        digest: `sha256:…`, of its manifest; of its configuration when it was made here.
        architecture: as Go names it.
        layers: diff IDs of its layers.
        history: how many steps its history has.
        created: when it was made.
    """

    reference: str
    digest: str
    architecture: str
    layers: tuple[str, ...]
    history: int
    created: datetime


@dataclass(frozen=True)
class Engine:
    """A container engine with a client configuration of our own."""

    environment: Mapping[str, str]

    @classmethod
    @contextmanager
    def private(cls) -> Iterator["Engine"]:
        """An engine whose logins stay in a folder that only we can read, and that is gone afterwards.

        Raises:
            UserError: there is no engine, or it does not answer.
        """
        with tempfile.TemporaryDirectory(prefix="image-build-") as folder:
            file = Path(folder, "config.json")
            file.write_text("{}", encoding="utf-8")  # podman wants it to be there when nobody logs in
            logins = {"DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(file)}
            engine = cls({**os.environ, **logins})
            yield cls({**engine.environment, **engine._builder()})

    def login(self, host: str, login: Login) -> None:
        """Log in; the password goes through stdin and never into argv or the environment."""
        arguments = ["login", "--username", login.username, "--password-stdin", host]
        self._capture(arguments, "registry-endpoints", stdin=login.password)

    def pull(self, reference: str, parameter: str) -> LocalImage:
        """Pull an image; `parameter` is the manifest parameter to name when that fails."""
        self._capture(["pull", "--quiet", reference], parameter)
        return self.inspect(reference, parameter)

    def inspect(self, reference: str, parameter: str) -> LocalImage:
        """An image that the engine holds already, pulled or built."""
        found = json.loads(self._capture(["image", "inspect", reference], parameter))[0]
        steps = self._capture(["image", "history", "--quiet", "--no-trunc", reference], parameter)
        # One image can have come from several registries; the name may be a shorter one for the same.
        digests = sorted(found["RepoDigests"], key=lambda name: not name.startswith(_repository(reference)))
        pinned = digests[0] if digests else reference
        return LocalImage(
            pinned,
            pinned.partition("@")[2] or found["Id"],
            found["Architecture"],
            tuple(found["RootFS"]["Layers"]),
            len(steps.split()),
            datetime.fromisoformat(found["Created"]),
        )

    def read_file(self, reference: str, path: str, parameter: str) -> bytes:
        """Content of a file in an image; nothing of the image runs.

        Args:
            reference: image that the engine holds.
            path: absolute, and no link.
            parameter: manifest parameter to name when it cannot be read.

        Raises:
            UserError: there is no such file.
        """
        container = self._capture(["create", reference, "/"], parameter).strip()
        try:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder, "file")
                self._capture(["cp", f"{container}:{path}", str(copy)], parameter)
                return copy.read_bytes()
        finally:
            self._run(["rm", container])

    def build(
        self,
        context: Path,
        tag: str,
        *,
        dockerfile: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        secrets: Mapping[str, Path],
        parameter: str,
    ) -> None:
        """Build the context and show the output as it comes; only a success sets the tag.

        Args:
            context: folder with everything that the Dockerfile copies.
            tag: name and tag of the image.
            dockerfile: relative to the context.
            arguments: build arguments; no secrets.
            labels: labels of the image.
            secrets: files that a step may mount, by id; they come into no layer.
            parameter: manifest parameter to name when the build fails.

        Raises:
            UserError: the build failed, or a step mounts a secret and the engine cannot do that.
        """
        if secrets and self.environment.get("DOCKER_BUILDKIT") == "0":
            raise UserError(
                f"this image needs BuildKit, which this `{PROGRAM}` leaves to its plugin buildx: install it "
                "(Debian: docker-buildx)"
            )
        command = ["build", "--tag", tag, "--file", str(context / dockerfile)]
        command += [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        command += [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
        command += [part for name, path in secrets.items() for part in ("--secret", f"id={name},src={path}")]
        self._stream([*command, str(context)], parameter)

    def save(self, reference: str, archive: Path) -> None:
        """Write an image to a file, in the format of `docker save`."""
        self._capture(["save", "--output", str(archive), reference], None)

    def load(self, write: Callable[[BinaryIO], None]) -> None:
        """Load the image that `write` writes to a stream."""
        with (
            tempfile.TemporaryFile() as output,
            self._started(["load"], stdin=subprocess.PIPE, stdout=output) as process,
        ):
            stream = cast("BinaryIO", process.stdin)
            try:
                write(stream)
                stream.close()
            except BrokenPipeError:
                pass  # the engine says why, below
            process.wait()
            output.seek(0)
            if process.returncode != 0:
                lines = output.read().decode(errors="replace").splitlines()
                _fail(["load"], process.returncode, lines, None)

    def push(self, reference: str, parameter: str) -> None:
        """Push a tag."""
        self._capture(["push", "--quiet", reference], parameter)

    def remove(self, reference: str) -> None:
        """Remove a tag, and the image when it has no other; one that is not there is fine."""
        self._run(["image", "rm", reference])

    def _builder(self) -> dict[str, str]:
        """BuildKit where the engine brings it; no attestations, which would make the image an index."""
        version = self._capture(["version", "--format", "{{.Client.Version}}"], None).strip()
        major = version.partition(".")[0]
        needs_plugin = major.isdigit() and int(major) >= BUILDX_CLIENT
        plugin_missing = needs_plugin and self._run(["buildx", "version"]).returncode != 0
        return {"DOCKER_BUILDKIT": "0" if plugin_missing else "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}

    def _capture(self, arguments: Sequence[str], parameter: str | None, stdin: str = "") -> str:
        done = self._run(arguments, stdin)
        if done.returncode != 0:
            _fail(arguments, done.returncode, (done.stdout + done.stderr).splitlines(), parameter)
        return done.stdout

    def _run(self, arguments: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [PROGRAM, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                env=self.environment,
                check=False,
            )
        except OSError as error:
            raise UserError(f"the container engine `{PROGRAM}` cannot be run: {error.strerror}") from None

    def _stream(self, arguments: Sequence[str], parameter: str) -> None:
        with self._started(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            for line in process.stdout or ():
                print(line.decode(errors="replace"), end="", flush=True)
        if process.returncode != 0:
            raise UserError(
                f"{_about(parameter)}`{PROGRAM} {arguments[0]}` failed with status {process.returncode}; "
                "its output stands above"
            )

    @contextmanager
    def _started(
        self, arguments: Sequence[str], stdin: int, stdout: int | IO[bytes]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A running command. When we are interrupted it is told to end, and we wait until it has."""
        process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT, env=self.environment
        )
        with process:
            try:
                yield process
            except BaseException:
                process.terminate()
                if process.stdin:
                    with suppress(BrokenPipeError):
                        process.stdin.close()
                raise


def _repository(reference: str) -> str:
    """`host:port/name@` of `host:port/name:tag@digest`, as a repository digest begins."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@"


def _fail(arguments: Sequence[str], status: int, output: Sequence[str], parameter: str | None) -> NoReturn:
    command = " ".join([PROGRAM, *arguments])
    tail = "\n".join(f"  {line}" for line in output[-TAIL_LINES:] if line.strip())
    raise UserError(f"{_about(parameter)}`{command}` failed with status {status}:\n{tail}")


def _about(parameter: str | None) -> str:
    return f"manifest parameter `{parameter}`: " if parameter else ""
