"""Services that outlive the command that started them: started in their own session, ended by pid.

Each has a file in `run/` with its pid and the process's start time, so that a pid which the kernel
gave to somebody else meanwhile is never signalled.
"""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import LocalCloudError
from .ports import require_free

STOP_SECONDS = 15.0
START_SECONDS = 60.0
INTERVAL = 0.05  # seconds; a listening socket gives no event to a process that did not make it
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        start_time: clock ticks after boot (proc(5), /proc/pid/stat field 22).
        listens: where it answers, for people.
        command: what was started.
    """

    name: str
    pid: int
    start_time: int
    listens: str
    log: str
    command: list[str]

    @property
    def alive(self) -> bool:
        """Whether the process still runs and is the one that was started."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return _start_time(self.pid) == self.start_time


@dataclass(frozen=True)
class Services:
    """The services of one local cloud.

    Attributes:
        run: folder with one record for each service.
        logs: folder with one log for each service.
    """

    run: Path
    logs: Path

    def ensure(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        listens: str,
        ready: Callable[[], bool],
        port: int | None = None,
    ) -> Service:
        """The service, started unless it runs already with this command, and ready.

        Raises:
            LocalCloudError: its port is taken, it ended, or it did not get ready in time.
        """
        running = self.find(name)
        if running and running.command == list(command):
            return running
        if running:
            self.stop(name)
        if port is not None:
            require_free(port, name)
        service = self._start(name, command, environment, listens)
        try:
            _wait(service, ready)
        except BaseException:
            self.stop(name)
            raise
        return service

    def find(self, name: str) -> Service | None:
        """The service, when it runs."""
        return next((service for service in self.running() if service.name == name), None)

    def running(self) -> list[Service]:
        """Every service that runs."""
        return [service for service in self._recorded() if service.alive]

    def has_ended(self, name: str) -> bool:
        """Whether the service was started and has ended by itself since."""
        return any(service.name == name and not service.alive for service in self._recorded())

    def stop(self, name: str) -> None:
        """End one service, if it runs."""
        service = self.find(name)
        if service:
            _stop(service)
        self._record(name).unlink(missing_ok=True)

    def stop_all(self) -> list[str]:
        """End every service, the last started first; return their names."""
        names = [service.name for service in reversed(self.running())]
        for name in names:
            self.stop(name)
        for record in self.run.glob("*.json"):
            record.unlink()
        return names

    def _start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], listens: str
    ) -> Service:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        service = Service(name, process.pid, _start_time(process.pid) or 0, listens, str(log), list(command))
        temporary = self.run / f".{name}.json"
        temporary.write_text(json.dumps(asdict(service)), encoding="utf-8")
        temporary.replace(self._record(name))
        return service

    def _record(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def _recorded(self) -> list[Service]:
        if not self.run.is_dir():
            return []
        found = [service for path in self.run.glob("[!.]*.json") if (service := _read(path))]
        return sorted(found, key=lambda service: service.start_time)


def _read(record: Path) -> Service | None:
    """A service's record; None for one that cannot be read, as a full disk leaves it."""
    try:
        return Service(**json.loads(record.read_text("utf-8")))
    except (ValueError, TypeError):
        return None


def answers(port: int, path: str) -> Callable[[], bool]:
    """Whether `GET path` on a port of 127.0.0.1 is answered with 200."""

    def ask() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, indented."""
    text = log.read_text("utf-8", errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"    {line}" for line in text) or "    (nothing in its log)"


def _wait(service: Service, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if not service.alive:
            raise LocalCloudError(f"{service.name} ended while it started:\n{tail(Path(service.log))}")
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"{service.name} did not answer on {service.listens} within {START_SECONDS:.0f} s:\n"
                f"{tail(Path(service.log))}"
            )
        time.sleep(INTERVAL)


def _start_time(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _stop(service: Service) -> None:
    """SIGTERM, then SIGKILL for the whole session of the service; returns when the process has ended."""
    try:
        descriptor = os.pidfd_open(service.pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], STOP_SECONDS)[0]:
            os.killpg(service.pid, signal.SIGKILL)
            select.select([descriptor], [], [], STOP_SECONDS)
    finally:
        os.close(descriptor)
