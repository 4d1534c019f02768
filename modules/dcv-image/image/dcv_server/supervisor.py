"""Process 1 of the container: starts the session, keeps it, and closes it on SIGTERM."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from . import display_record, processes
from .errors import StartError
from .health import SESSION_ID
from .session import SessionError, describe, run
from .start import ANSWER_SECONDS, Settings, Started, bring_up, publish_display, say, settings_of
from .xauthority import path_of
from .xdisplay import SOCKETS, TEMPORARY

PUBLISHER = Path("/opt/dcv_server/scripts/update_parameters.py")
LOOK_SECONDS = 5.0  # between two looks at the session's display
PUBLISHER_WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before a publication that ended is started again
CLOSE_SECONDS = 5.0  # for closing the session
END_SECONDS = 3.0  # for the services to end


class StoppedError(BaseException):
    """A signal asks the container to end. It passes every handler of ordinary errors."""


def supervise(environment: Mapping[str, str]) -> int:
    """Run until a signal or the end of the server; the container's exit status."""
    started = Started({})
    with _signals() as wake_up:
        try:
            begin = time.monotonic()
            bring_up(environment, started)
            say(f"the session {SESSION_ID} is there after {time.monotonic() - begin:.1f} s")
            return _keep(environment, started, wake_up)
        except StartError as error:
            say(f"error: {error}")
            return 1
        except OSError as error:
            # What no step foresaw: a volume or a capability that is missing, a full disk.
            say(f"error: {error}; the README lists the volumes and capabilities that the image needs")
            return 1
        except StoppedError:
            return 0
        finally:
            _end(started)


class Publisher:
    """The process that publishes the display; when it fails it is started again, and the session stays.

    It ends with status 0 when the environment asks for no publication.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._failures = 0
        self._due = 0.0
        self._off = False
        self.process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it when it does not run and its time has come."""
        now = time.monotonic()
        if self._off:
            return
        if self.process is not None and self.process.poll() == 0:
            self._off = True
            return
        if self.process is not None and self.process.poll() is not None:
            wait = PUBLISHER_WAITS[min(self._failures, len(PUBLISHER_WAITS) - 1)]
            say(f"the publication ended with status {self.process.returncode}; again in {wait:g} s")
            self._failures += 1
            self._due, self.process = now + wait, None
        if self.process is None and now >= self._due and PUBLISHER.exists():
            self.process = processes.start([str(PUBLISHER)], self._environment)


def _keep(environment: Mapping[str, str], started: Started, wake_up: int) -> int:
    settings = settings_of(environment)
    publisher = Publisher(environment)
    next_look = time.monotonic() + LOOK_SECONDS
    try:
        while True:
            publisher.keep()
            _reap({process.pid for process in (*started.services.values(), publisher.process) if process})
            for name, process in started.services.items():
                if process.poll() is not None:
                    say(f"error: {name} ended with status {process.returncode}, and the session with it")
                    return 1
            if time.monotonic() >= next_look:
                _refresh(started, settings)
                next_look = time.monotonic() + LOOK_SECONDS
            # A child's end wakes this up at once.
            select.select([wake_up], [], [], 1.0)
            _drain(wake_up)
    finally:
        if publisher.process is not None:
            started.services["publication"] = publisher.process


def _refresh(started: Started, settings: Settings) -> None:
    """Publish the X authority again when the display is another one, or when somebody removed the file."""
    if started.owner is None:
        return
    try:
        session = describe(SESSION_ID, ANSWER_SECONDS)
        if publish_display(session, started.owner, settings.group):
            say(f"published the X authority of display :{session.display} again")
        if started.session and started.session.display != session.display:
            _forget(started.session.display)
        started.session = session
    except (SessionError, StartError, OSError):
        pass  # the probes tell what is wrong; the next look may find it well


def _end(started: Started) -> None:
    """Close the session, then end the services in reverse order; whatever is left ends with this process."""
    if started.session is not None:
        try:
            run(["close-session", SESSION_ID], CLOSE_SECONDS)
        except SessionError as error:
            say(f"the session was not closed: {error}")
        _forget(started.session.display)
    for name, process in reversed(list(started.services.items())):
        try:
            if process.poll() is None:
                process.terminate()
        except PermissionError:
            say(f"{name} may not be ended in order: the capability KILL is missing")
    end = time.monotonic() + END_SECONDS
    for name, process in started.services.items():
        try:
            process.wait(max(end - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            say(f"{name} did not end in time")


def _reap(ours: set[int]) -> None:
    """Wait for children of others, which process 1 inherits; ours are left to who asks for their status."""
    while True:
        try:
            child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if child is None or child.si_pid in ours:
            return
        os.waitpid(child.si_pid, 0)


@contextmanager
def _signals() -> Iterator[int]:
    """SIGTERM and SIGINT raise; SIGCHLD makes the yielded descriptor readable."""
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reading)
        os.close(writing)


def _stop(number: int, _frame: FrameType | None) -> None:
    # The orderly end is not to be broken off by a second signal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise StoppedError(signal.Signals(number).name)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD has to have a handler for the descriptor to be written."""


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)


def _forget(display: int) -> None:
    """Remove what the start published of a display."""
    with suppress(OSError):
        path_of(display, SOCKETS).unlink()
    display_record.remove(display, TEMPORARY)
