"""A desktop comes back after it was killed, with what it left in /tmp; a display that lives is left alone."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from desktop_support import LONG
from desktops import pod
from desktops.docker import Docker
from desktops.launch import Launch
from desktops.pod import Pod

pytestmark = pytest.mark.engine

KILLS = 200 if LONG else 10
TOGETHER = 50 if LONG else 2


# Twenty starts' worth of the moment in which systemd opens the container's output.
OPEN_AT_ONCE = """
import os, sys
from pathlib import Path
sys.path.append("/usr/lib/kvdi-desktop")
from kvdi_desktop import privilege, systemd
with privilege.acting_as(9000, 9000):
    pass
claim = os.open("/dev/null", os.O_RDONLY)
for _ in range(20):
    systemd.keep_open(claim, Path("/tmp/output"))
    open("/tmp/output/stdout", "a").close()
"""


def locks(desktop: Pod) -> list[str]:
    """Which displays have a server, or had one that left its lock."""
    return sorted(path.name for path in desktop.on_host("/tmp").glob(".X*-lock"))


def test_it_comes_back_from_every_kill(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base")

    for number in range(KILLS):
        with desktop.connect() as client:
            client.screenshot()
        desktop.kill()
        assert locks(desktop) == [".X1-lock"], f"after kill {number}"
        desktop.start()

    with desktop.connect() as client:
        client.screenshot()
    # At once under the number that it had, however soon it was killed.
    assert desktop.display == ":1"
    assert locks(desktop) == [".X1-lock"]


def test_a_lock_of_a_process_id_that_lives_again_is_no_obstacle(
    launched: Callable[..., Pod], family: str
) -> None:
    desktop = launched(f"debian-{family}-base")
    desktop.connect().close()
    desktop.kill()
    # The lock now names the first process, which runs in every container.
    desktop.on_host("/tmp/.X1-lock").write_text(f"{1:>10}\n")

    desktop.start()

    with desktop.connect() as client:
        client.screenshot()


@pytest.mark.parametrize("content", ["", "not a number\n", "99999999999999999999\n"])
def test_a_broken_lock_is_no_obstacle(launched: Callable[..., Pod], content: str) -> None:
    desktop = launched("debian-supervisord-base")
    desktop.connect().close()
    desktop.kill()
    desktop.on_host("/tmp/.X1-lock").write_text(content)

    desktop.start()

    with desktop.connect() as client:
        client.screenshot()


def test_the_lock_of_a_live_display_is_never_removed(
    docker: Docker, launch_of: Callable[[str], Launch], launched: Callable[..., Pod], family: str
) -> None:
    """Two containers that share /tmp, as a pod's containers may: the second one takes another display."""
    first = launched(f"debian-{family}-base")
    first.connect().close()
    lock = first.on_host("/tmp/.X1-lock")
    before = (lock.read_text(), lock.stat().st_ino)

    second = pod.create(docker, launch_of("debian-supervisord-base"), shared_tmp=first.folder / "tmp")
    try:
        second.start()
        with second.connect() as client:
            client.screenshot()

        assert (lock.read_text(), lock.stat().st_ino) == before
        assert locks(first) == [".X1-lock", ".X2-lock"]
        with first.connect() as client:
            client.screenshot()
    finally:
        second.remove()


def test_desktops_that_start_in_the_same_instant_take_different_displays(
    docker: Docker, launch_of: Callable[[str], Launch], family: str
) -> None:
    """On one /tmp, where neither of them has made its lock when the other looks."""
    with ExitStack() as stack:
        first = pod.create(docker, launch_of(f"debian-{family}-base"))
        stack.callback(first.remove)
        second = pod.create(docker, launch_of("debian-supervisord-base"), shared_tmp=first.folder / "tmp")
        stack.callback(second.remove)
        desktops = [first, second]

        for _ in range(TOGETHER):
            with ThreadPoolExecutor() as threads:
                list(threads.map(Pod.start, desktops))
            for desktop in desktops:
                with desktop.connect() as client:
                    client.screenshot()
            assert sorted(desktop.display for desktop in desktops) == [":1", ":2"]
            for desktop in desktops:
                desktop.kill()


def test_the_containers_output_can_be_opened_as_soon_as_systemd_starts(launched: Callable[..., Pod]) -> None:
    """Where it could not, the user's systemd failed, and the container ended: about once in 200 starts."""
    desktop = launched("debian-systemd-base")

    done = desktop.execute("python3", "-c", OPEN_AT_ONCE, user="0")

    assert done.returncode == 0, done.stderr


def test_a_restart_prints_nothing_of_the_journal_again(launched: Callable[..., Pod]) -> None:
    desktop = launched("debian-systemd-base")
    desktop.wait_for_log("Journal started", seconds=60.0)
    journals = desktop.on_host("/run/log/journal")
    earlier = set(journals.iterdir())
    assert earlier

    desktop.kill()
    desktop.start()
    desktop.connect().close()

    assert not earlier & set(journals.iterdir())


def test_a_server_that_is_killed_alone_is_started_again(launched: Callable[..., Pod], family: str) -> None:
    desktop = launched(f"debian-{family}-base")
    with desktop.connect() as client:
        client.screenshot()

    desktop.signal_program(pod.X_SERVER, signal.SIGKILL)

    with desktop.connect() as client:
        client.screenshot()
    assert desktop.running
