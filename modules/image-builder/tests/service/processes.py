"""The service as a process of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from .database_servers import free_port

MODULE = Path(__file__).resolve().parents[2]
START_WITHIN = 120  # seconds


@dataclass
class ServiceProcess:
    """One service at one port, started as often as a test wants."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    port: int
    within: list[str] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, *self.arguments],
                env=clean_environment(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_WITHIN
        while not self._ready():
            waiting = self.process.poll() is None and time.monotonic() < until
            assert waiting, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of all of it."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as a platform does; the exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        return False


@contextlib.contextmanager
def service_process(
    script: list[str], environment: dict[str, str], folder: Path, within: Sequence[str] = ()
) -> Iterator[ServiceProcess]:
    """A service that runs; `PORT` in the script's arguments becomes its port.

    Args:
        script: arguments of Python.
        environment: its settings.
        folder: where its log is.
        within: what stands in front of the command line.
    """
    port = free_port()
    arguments = [part.replace("PORT", str(port)) for part in script]
    service = ServiceProcess(arguments, environment, folder / "service.log", port, [*within])
    try:
        service.start()
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            service.kill()


def comes_true_soon(condition: Callable[[], bool]) -> bool:
    """Whether it holds before the patience ends."""
    until = time.monotonic() + START_WITHIN
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def processes_below(folder: Path) -> list[str]:
    """Command lines of processes that run somewhere in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # ended meanwhile
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(f"{folder}/"):
                found.append((entry / "cmdline").read_text(errors="replace").replace("\0", " "))
    return found


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass: pytest's own are root's alone, and builds are not root."""
    folder = Path(tempfile.mkdtemp(prefix="image-builder-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_environment(variables: dict[str, str]) -> dict[str, str]:
    """What a program of ours needs, without what the developer has set."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(MODULE), **variables}
