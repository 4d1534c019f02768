"""Driving the real SeedFarmer: environment, progress, and what to say when it fails."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .agent import record
from .agent import settings as agent_settings
from .agent.__main__ import PREFIX
from .emulator import cdk_environment, clean_environment, without_proxy
from .engine import client_folder, folders_of_addresses
from .errors import LocalCloudError
from .layout import REPOSITORY, Layout
from .progress import Progress
from .project import Project
from .tools import Tools, tool_environment, uv

# SeedFarmer's own log lines: `[2026-01-02 03:04:05,678 | INFO | MainThread ] text`.
LOG_LINE = re.compile(r"^\[\d{4}-\d\d-\d\d [^|]+\| [A-Z]+ \|[^\]]*\]")
# What SeedFarmer says before it sleeps (seedfarmer/commands/_stack_commands.py).
SLEEP_LINE = "Delaying deployment to allow"
WITHOUT_IAM_WAIT = Path(__file__).with_name("without_iam_wait.py")
ERRORS_SHOWN = 6
INTERRUPT_SECONDS = 10.0


@dataclass(frozen=True)
class Outcome:
    """What one command of SeedFarmer came to.

    Attributes:
        builds: the builds that ran.
        failure: why it failed, for people; None when it did not.
    """

    builds: list[record.BuildRecord]
    failure: str | None

    @property
    def succeeded(self) -> list[record.BuildRecord]:
        """The builds that came to a good end."""
        return [build for build in self.builds if build.succeeded]

    def require_success(self) -> None:
        """Go on only after success.

        Raises:
            LocalCloudError: the command failed; names the module and the command where a build broke.
        """
        if self.failure:
            raise LocalCloudError(self.failure)


@dataclass(frozen=True)
class SeedFarmer:
    """SeedFarmer, bound to one local cloud."""

    layout: Layout
    project: Project
    tools: Tools
    progress: Progress
    variables: Mapping[str, str]
    verbose: bool

    @property
    def builds(self) -> Path:
        """Folder with one folder for each module's last build."""
        return self.layout.builds / self.project.name

    def run(self, arguments: Sequence[str], log_name: str) -> "Outcome":
        """Run one command of SeedFarmer in the staged project, showing the builds as they go."""
        self._prepare()
        log = self.layout.logs / f"{log_name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        before = self._results()
        process = subprocess.Popen(
            # Should this process be killed, SeedFarmer and its builds end with it (setpriv(1)).
            ["setpriv", "--pdeathsig", "KILL", *self._program, *arguments],
            env=self._environment(),
            cwd=self.project.staged,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that an interruption reaches it once, from here, builds included
        )
        try:
            lines = self._follow(process, log)
            status = process.wait()
        except KeyboardInterrupt:
            _interrupt(process)
            raise
        builds = [build for folder, build in self._results().items() if before.get(folder) != build]
        for build in builds:
            self._remember(build)
        failed = [build for build in builds if not build.succeeded]
        broken = failed or status != 0
        return Outcome(builds, _failure(self.builds, arguments, failed, lines, log) if broken else None)

    @property
    def _program(self) -> list[str]:
        if self.layout.iam_wait:
            return [str(self.tools.seedfarmer)]
        # -P: the modules beside the script are not SeedFarmer's.
        return [str(self.tools.seedfarmer.with_name("python")), "-P", str(WITHOUT_IAM_WAIT)]

    def _prepare(self) -> None:
        self.builds.mkdir(parents=True, exist_ok=True)
        shim = self.layout.state / "shim"
        shim.mkdir(exist_ok=True)
        (shim / "docker").write_text(
            "#!/bin/sh\n"
            f'export PYTHONPATH="{REPOSITORY / "scripts"}"\n'
            f'exec setpriv --pdeathsig TERM "{sys.executable}" -m localcloud.agent "$@"\n',
            encoding="utf-8",
        )
        (shim / "docker").chmod(0o755)
        agent_settings.write(
            self.layout.state / "agent.json",
            agent_settings.AgentSettings(
                builds=str(self.builds),
                path=[
                    str(client_folder(self.layout)),
                    *self.tools.build_path,
                    *os.environ["PATH"].split(":"),
                ],
                environment={**without_proxy(), **self._shared_caches(), **cdk_environment(self.layout)},
                copy_on_write=[str(self.layout.tools)],
                machines=folders_of_addresses(),
                docker=str(client_folder(self.layout) / "docker"),
            ),
        )

    def _shared_caches(self) -> dict[str, str]:
        """Caches that are safe to share between builds at once; all else lies in a build's own home."""
        uv_cache = subprocess.run(
            [uv(), "cache", "dir"], capture_output=True, text=True, check=True
        ).stdout.strip()  # fmt: skip
        return {
            **tool_environment(self.layout.tools),
            "UV_CACHE_DIR": uv_cache,
            "npm_config_cache": str(self.layout.state / "npm-cache"),
        }

    def _environment(self) -> dict[str, str]:
        return {
            **clean_environment(self.layout),
            "PATH": f"{self.layout.state / 'shim'}:{os.environ['PATH']}",
            "LOCAL_ACCOUNT_ID": self.layout.account,
            **self.variables,
            agent_settings.VARIABLE: str(self.layout.state / "agent.json"),
            "UV": uv(),
            "COLUMNS": "200",
        }

    def _follow(self, process: "subprocess.Popen[str]", log: Path) -> list[str]:
        assert process.stdout is not None  # noqa: S101  a pipe was asked for
        lines: list[str] = []
        sleeping_since: float | None = None
        with log.open("w", encoding="utf-8") as output:
            for line in process.stdout:
                output.write(line)
                output.flush()
                lines.append(line.rstrip("\n"))
                if sleeping_since is not None:
                    self.progress.took("seedfarmer: its fixed sleep", time.monotonic() - sleeping_since)
                sleeping_since = time.monotonic() if SLEEP_LINE in line else None
                if line.startswith(PREFIX):
                    self.progress.say(line.removeprefix(PREFIX).rstrip())
                elif self.verbose:
                    self.progress.say(line.rstrip())
        return lines

    def _results(self) -> dict[str, record.BuildRecord]:
        folders = sorted(self.builds.glob("[!.]*")) if self.builds.is_dir() else []
        found = {folder.name: record.read(folder) for folder in folders}
        return {name: build for name, build in found.items() if build is not None}

    def _remember(self, build: record.BuildRecord) -> None:
        for command in build.commands:
            first = command.command.splitlines()[0]
            self.progress.took(f"{build.build_id}: {command.phase}: {first}", command.seconds)


def _interrupt(process: "subprocess.Popen[str]") -> None:
    """End SeedFarmer and the builds that it started; return when they are gone."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(INTERRUPT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(
    builds: Path, arguments: Sequence[str], failed: list[record.BuildRecord], lines: list[str], log: Path
) -> str:
    if failed:
        return "\n".join(_build_failure(builds, build) for build in failed)
    text = "\n".join(f"    {line}" for line in _for_people(lines)[-ERRORS_SHOWN:])
    return f"`seedfarmer {' '.join(arguments)}` failed:\n{text}\n  full log: {log}"


def _for_people(lines: list[str]) -> list[str]:
    """SeedFarmer's output without its log lines, its tracebacks and the builds' progress."""
    kept: list[str] = []
    in_traceback = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            in_traceback = True
        elif in_traceback and line.startswith(" "):
            continue
        elif line.strip() and not LOG_LINE.match(line) and not line.startswith(PREFIX):
            in_traceback = False
            kept.append(line)
    return kept


def _build_failure(builds: Path, build: record.BuildRecord) -> str:
    folder = builds / build.build_id
    command = build.failed_command
    where = (
        f"in {command.phase}: `{command.command}` ({_status(command)})"
        if command
        else "before its first command"
    )
    output = "\n".join(f"    {line}" for line in record.last_output(folder / "build.log"))
    return f"module {build.build_id} failed {where}\n{output}\n  full log: {folder / 'build.log'}"


def _status(command: record.CommandRecord) -> str:
    return "interrupted" if command.status is None else f"exit status {command.status}"
