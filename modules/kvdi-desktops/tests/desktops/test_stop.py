"""Stopping: on the manager's signals, soon, in order, and with what the user did saved."""

import signal
from collections.abc import Callable

import pytest
from desktops.launch import Family
from desktops.pod import Pod

pytestmark = pytest.mark.engine

PATIENCE = 10.0  # seconds; how fast it is stands in the benchmark
HOOK = signal.SIGRTMIN + 3  # what the manager's hook sends


@pytest.mark.parametrize(
    ("family", "number"),
    # To systemd as the first process, SIGTERM says that it shall start itself anew (systemd(1)).
    [("supervisord", int(signal.SIGTERM)), ("supervisord", HOOK), ("systemd", HOOK)],
)
def test_it_stops_by_each_signal(launched: Callable[..., Pod], family: str, number: int) -> None:
    desktop = launched(f"debian-{family}-base")
    desktop.connect().close()

    assert desktop.signal(number) < PATIENCE

    desktop.wait_until_ended()
    assert desktop.exit_code in (0, 130, 143), desktop.log_tail
    assert "Traceback" not in desktop.log
    assert not list(desktop.on_host("/tmp").glob(".X*-lock")), "the server did not end by itself"


def test_it_stops_as_the_kubelet_stops_it_and_starts_again(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base")
    desktop.connect().close()

    assert desktop.stop() < PATIENCE
    desktop.start()

    with desktop.connect() as client:
        client.screenshot()


def test_a_stop_while_it_starts_is_obeyed(launched: Callable[..., Pod]) -> None:
    desktop = launched("debian-supervisord-base")

    assert desktop.launch.family is Family.SUPERVISORD
    assert desktop.signal(signal.SIGTERM) < PATIENCE
