"""What supervisord does besides starting processes. It is installed in images only: here is a stand-in."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest

# Ends by itself, as a session that crashes; what it has started runs on, and says so until it is told to end.
CRASHES = "sleep 300 & echo $!; exit 3"
WAIT_SECONDS = 10

Callback = Callable[[object], None]


class ProcessStateEvent:
    """As supervisord's: sent while the process still has its number."""

    def __init__(self, pid: int) -> None:
        self.process = SimpleNamespace(pid=pid, config=SimpleNamespace(name="openbox"))
        self.extra_values = [("pid", pid)]


class Fatal(ProcessStateEvent):
    pass


class Stopped(ProcessStateEvent):
    pass


class Exited(ProcessStateEvent):
    pass


class Backoff(ProcessStateEvent):
    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        # supervisord's has no number here, as it is sent for a process that could not be made, too.
        self.extra_values = [("tries", 1)]


@dataclass
class Supervisor:
    """supervisord's loop, which ends at once."""

    settings: object

    def __post_init__(self) -> None:
        self.process_groups: dict[str, object] = {}

    def runforever(self) -> None:
        pass


@pytest.fixture
def subscribed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[type, Callback]]:
    """What a desktop's supervisord calls for each kind of event, once it runs."""
    found: dict[type, Callback] = {}
    events = {
        "subscribe": found.__setitem__,
        "ProcessStateEvent": ProcessStateEvent,
        "ProcessStateFatalEvent": Fatal,
        "ProcessStateStoppedEvent": Stopped,
        "ProcessStateExitedEvent": Exited,
        "ProcessStateBackoffEvent": Backoff,
    }
    package = ModuleType("supervisor")
    parts = {
        "events": events,
        "supervisord": {"Supervisor": Supervisor},
        "options": {"ServerOptions": object},
    }
    monkeypatch.setitem(sys.modules, "supervisor", package)
    for name, content in parts.items():
        part = ModuleType(f"supervisor.{name}")
        vars(part).update(content)
        setattr(package, name, part)
        monkeypatch.setitem(sys.modules, part.__name__, part)
    monkeypatch.delitem(sys.modules, "kvdi_desktop.supervise", raising=False)
    from kvdi_desktop import supervise

    wakeup = signal.set_wakeup_fd(-1)
    try:
        supervise.DesktopSupervisor(object()).runforever()
        yield found
    finally:
        signal.set_wakeup_fd(wakeup)
        sys.modules.pop("kvdi_desktop.supervise", None)
        # The package's own name for it would bring the stand-in back.
        del sys.modules["kvdi_desktop"].supervise  # type: ignore[attr-defined]


@contextmanager
def crashed() -> Iterator[tuple[int, int]]:
    """A program in a group of its own that has ended; its number, and a descriptor of what it has started."""
    program = subprocess.Popen(
        ["sh", "-c", CRASHES], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stdout
    started = os.pidfd_open(int(program.stdout.readline()))
    program.wait(WAIT_SECONDS)
    program.stdout.close()
    try:
        yield program.pid, started
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(started, signal.SIGKILL)
        os.close(started)


def has_ended(process: int) -> bool:
    """Whether the process that the descriptor is of has ended."""
    return bool(select.select([process], [], [], 0)[0])


@pytest.mark.parametrize("event", [Stopped, Exited, Backoff])
def test_what_a_program_has_started_ends_with_it(
    subscribed: dict[type, Callback], event: type[ProcessStateEvent]
) -> None:
    with crashed() as (pid, started):
        assert not has_ended(started)

        subscribed[event](event(pid))

        assert has_ended(started)


def test_other_groups_go_on(subscribed: dict[type, Callback]) -> None:
    with crashed() as (_, other), crashed() as (pid, _):
        subscribed[Exited](Exited(pid))

        assert not has_ended(other)


def test_a_program_that_could_not_be_started_has_no_group(subscribed: dict[type, Callback]) -> None:
    # Group 0 would be supervisord's own.
    subscribed[Backoff](Backoff(0))
