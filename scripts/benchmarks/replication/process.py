"""One run of a contender's command, start-up included."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SAMPLE = 0.02  # seconds between two looks at the memory; the high-water mark itself is the kernel's


@dataclass(frozen=True)
class Command:
    """What is started.

    Attributes:
        name: of the contender.
        folder: where it runs and keeps its files; home of the user that it sees.
    """

    name: str
    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What came of it.

    Attributes:
        status: exit status, None when it had to be killed at its deadline.
        peak_mib: sum of the resident high-water marks of all its processes; 0 when nobody looked.
        output: what it printed.
    """

    seconds: float
    status: int | None
    peak_mib: float
    output: str


class Processes:
    """Runs commands, several at once if need be; none of their processes outlives it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: Command, *, deadline: float = 600.0, watch_memory: bool = False) -> Run:
        """Run a command to its end.

        Args:
            deadline: seconds after which it is killed.
            watch_memory: also look at the memory of all its processes.
        """
        log = command.folder / "output.log"
        peaks: dict[int, float] = {}
        with log.open("wb") as output:
            begun = time.monotonic()
            process = subprocess.Popen(
                command.words,
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            try:
                if watch_memory:
                    _watch(process, begun + deadline, peaks)
                status: int | None = process.wait(max(0.0, begun + deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                status = None
            finally:
                seconds = time.monotonic() - begun
                _kill(process)
                self._running.discard(process)
        return Run(seconds, status, sum(peaks.values()), log.read_text("utf-8", errors="replace"))

    def kill_all(self) -> None:
        """End what runs in other threads; their `run` returns."""
        for process in list(self._running):
            _kill(process)


def _watch(process: "subprocess.Popen[bytes]", until: float, peaks: dict[int, float]) -> None:
    while process.poll() is None and time.monotonic() < until:
        for pid in _session(process.pid):
            peaks[pid] = max(peaks.get(pid, 0.0), _high_water(pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SAMPLE)


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only, many times a second
        with suppress(OSError):
            if name.isdigit() and os.getsid(int(name)) == leader:
                found.append(int(name))
    return found


def _high_water(pid: int) -> float:
    """Most memory that a process has had resident, in MiB (proc(5), VmHWM)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the whole session: `xargs` does not end what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
