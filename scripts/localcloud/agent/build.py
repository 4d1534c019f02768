"""One build: folder, environment, namespace, and the record of what its commands did."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from . import record, script
from .buildspec import Buildspec, load, load_environment, module_commands
from .call import AgentCall
from .record import BuildRecord, CommandRecord
from .settings import AgentSettings

# Files in the user's home that say where packages come from; a build has its own home and gets copies.
INDEX_SETTINGS = (".npmrc", ".config/pip/pip.conf", ".config/uv/uv.toml")
# Variables of the user that hold for builds as well: proxies, authorities, package indexes.
PASSED_ON = ("LANG", "TZ", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
             "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO")  # fmt: skip
PASSED_ON_PREFIXES = ("PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "http_proxy", "https_proxy", "no_proxy",
                      "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip

# Inside the namespace: folders that builds share, and the machine's /var, get a layer of the build's own
# above them. The layers lie on a tmpfs, since an overlay cannot be stacked on every file system.
# Everything goes with the namespace. Folders before `--` stay the machine's, wherever they lie.
NAMESPACE_SETUP = r"""
set -euo pipefail
events=$1; layers=$2; script=$3; shift 3
if [ "$events" != 3 ]; then eval "exec 3>&$events $events>&-"; fi
mount -t tmpfs tmpfs "$layers"
machines=()
while [ "$1" != -- ]; do
    mkdir "$layers/machine-${#machines[@]}"
    mount --bind "$1" "$layers/machine-${#machines[@]}"
    machines+=("$1")
    shift
done
shift
for folder in "$@"; do
    layer=$layers/$(echo "$folder" | tr / _)
    mkdir "$layer" "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$layer/upper,workdir=$layer/work" "$folder"
done
for index in "${!machines[@]}"; do
    mount --bind "$layers/machine-$index" "${machines[index]}"
done
cd "$CODEBUILD_SRC_DIR"
exec bash "$script"
"""


@dataclass
class Build:
    """A build that runs in its own folder below `builds`."""

    call: AgentCall
    settings: AgentSettings
    report: Callable[[str], None]
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.settings.builds) / self.call.build_id

    def run(self) -> bool:
        """Run the buildspec to its end or to its first failing command; return whether it succeeded."""
        buildspec = load(self.call.buildspec)
        self._prepare()
        begun, clock = time.time(), time.monotonic()
        self.report(f"{self.call.build_id}: build started")
        commands, status = self._execute(buildspec, script.write_script(buildspec, self.folder))
        # A command that ends the shell itself (`exit 0`) has not done what follows it.
        succeeded = status == 0 and len(commands) == buildspec.commands
        result = BuildRecord(self.call.build_id, succeeded, begun, time.monotonic() - clock, commands)
        record.write(self.folder, result)
        self.report(
            f"{self.call.build_id}: build {'succeeded' if succeeded else 'failed'}, {result.seconds:.1f} s"
        )
        return succeeded

    def _prepare(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        home = self.folder / "home"
        (self.folder / "layers").mkdir(parents=True)
        home.mkdir()
        for name in INDEX_SETTINGS:
            source = Path.home() / name
            if source.is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, home / name)

    def _execute(self, buildspec: Buildspec, script_path: Path) -> tuple[list[CommandRecord], int]:
        read_end, write_end = os.pipe()
        with (self.folder / "build.log").open("wb") as log:
            process = subprocess.Popen(
                [*_unshare(), "bash", "-c", NAMESPACE_SETUP, "agent", str(write_end),
                 str(self.folder / "layers"), str(script_path), *self.settings.machines, "--", "/var",
                 *self.settings.copy_on_write],
                env=self._environment(buildspec),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end,),
            )  # fmt: skip
        os.close(write_end)
        handlers = {
            number: signal.signal(number, _forward(process)) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            with os.fdopen(read_end, encoding="utf-8") as events:
                commands = self._follow(events, buildspec)
            return commands, process.wait()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _environment(self, buildspec: Buildspec) -> Mapping[str, str]:
        home = self.folder / "home"
        passed = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
        }
        return {
            **passed,
            **self.settings.environment,
            "HOME": str(home),
            # Compiled modules outlive the build's virtual environment: a warm build does not compile again.
            "PYTHONPYCACHEPREFIX": f"{self.settings.builds}/.pycache/{self.call.build_id}",
            "PATH": ":".join([f"{home}/.local/bin", *self.settings.path]),
            "CODEBUILD_SRC_DIR": str(self.call.source),
            "CODEBUILD_BUILD_ID": f"local:{self.call.build_id}",
            **self.call.aws,
            **buildspec.variables,
            **load_environment(self.call.environment_file),
        }

    def _follow(self, events: IO[str], buildspec: Buildspec) -> list[CommandRecord]:
        texts = {
            (phase.name, index): command
            for phase in buildspec.phases
            for index, command in enumerate([*phase.commands, *phase.finally_commands])
        }
        own = module_commands(self.call.source / "bundle" / "module" / "deployspec.yaml")
        done: list[CommandRecord] = []
        current: tuple[str, int, float] | None = None
        for event in events:
            kind, phase, index, moment, *status = event.split()
            text = texts[phase, int(index)]
            if kind == "begin":
                current = (phase, int(index), float(moment))
                if text in own:
                    self.report(f"{self.call.build_id}: {phase}: {text.splitlines()[0]}")
            elif current:
                done.append(CommandRecord(phase, text, float(moment) - current[2], int(status[0])))
                current = None
        if current:
            phase, number, moment_begun = current
            done.append(CommandRecord(phase, texts[phase, number], time.time() - moment_begun, None))
        return done


def _unshare() -> list[str]:
    """Own mounts, and own processes: whatever a build leaves running ends with it (unshare(1))."""
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    return command if os.geteuid() == 0 else [*command, "--user", "--map-root-user"]


def _forward(process: subprocess.Popen[bytes]) -> Callable[[int, object], None]:
    """End the build when the agent is told to end; its namespace takes every process of it along."""

    def handler(_number: int, _frame: object) -> None:
        process.kill()

    return handler
