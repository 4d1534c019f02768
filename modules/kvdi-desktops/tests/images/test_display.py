"""Which X display is free: a dead server's lock goes, a live one's never does."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kvdi_desktop import display
from kvdi_desktop.errors import DesktopError

OLD = 60.0  # seconds: no server that starts has had its lock for so long
# A desktop of its own: says its number, and lives until it is killed.
DESKTOP = """
import signal, sys
from pathlib import Path
from kvdi_desktop import display

print(display.choose(Path(sys.argv[1])).number, flush=True)
signal.pause()
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / ".X11-unix").mkdir()
    return tmp_path


@pytest.fixture
def choose(temporary: Path) -> Iterator[Callable[[], int]]:
    """Starts a desktop in this process, which has its number until the test ends; returns the number."""
    claims = []

    def number() -> int:
        found = display.choose(temporary)
        claims.append(found.claim)
        return found.number

    yield number
    for claim in claims:
        os.close(claim)


def leave_lock(temporary: Path, process: int, age: float = OLD) -> Path:
    """What a server that was killed leaves."""
    lock = temporary / ".X1-lock"
    lock.write_text(f"{process:>10}\n")
    then = time.time() - age
    os.utime(lock, (then, then))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(temporary / ".X11-unix" / "X1"))
    return lock


@pytest.fixture
def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def server(temporary: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(temporary / ".X11-unix" / "X1"))
        listening.listen()
        yield listening


def test_the_first_number_where_there_is_none(choose: Callable[[], int]) -> None:
    assert choose() == 1


def test_desktops_that_start_at_the_same_time_have_different_numbers(choose: Callable[[], int]) -> None:
    # None of them has a server yet.
    assert [choose(), choose(), choose()] == [1, 2, 3]


def test_a_killed_desktop_has_its_number_no_more(temporary: Path, choose: Callable[[], int]) -> None:
    command = [sys.executable, "-c", DESKTOP, str(temporary)]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=path, stdout=subprocess.PIPE, text=True) as desktop:
        assert desktop.stdout
        assert desktop.stdout.readline() == "1\n"
        assert choose() == 2

        desktop.send_signal(signal.SIGKILL)
        desktop.wait()

    assert choose() == 1


def test_children_do_not_keep_the_number(temporary: Path, choose: Callable[[], int]) -> None:
    found = display.choose(temporary)
    with subprocess.Popen(["sleep", "infinity"], close_fds=False) as child:
        os.close(found.claim)

        again = choose()
        child.kill()

    assert (found.number, again) == (1, 1)


def test_a_number_whose_owner_cannot_be_told_is_passed_over(
    temporary: Path, choose: Callable[[], int]
) -> None:
    (temporary / ".X1-owner").symlink_to(temporary / "elsewhere")

    assert choose() == 2
    assert not (temporary / "elsewhere").exists()


def test_a_dead_servers_lock_and_socket_go(
    temporary: Path, dead_process: int, choose: Callable[[], int]
) -> None:
    lock = leave_lock(temporary, dead_process)

    assert choose() == 1
    assert not lock.exists()
    assert not (temporary / ".X11-unix" / "X1").exists()


def test_a_lock_goes_though_its_number_is_another_process_now(temporary: Path) -> None:
    lock = leave_lock(temporary, os.getpid())

    assert display.release(1, temporary)
    assert not lock.exists()


@pytest.mark.usefixtures("server")
def test_a_live_servers_lock_stays(temporary: Path, dead_process: int, choose: Callable[[], int]) -> None:
    # The number in the lock may be one of another container: there is no such process here.
    lock = temporary / ".X1-lock"
    lock.write_text(f"{dead_process:>10}\n")
    os.utime(lock, (0, 0))

    assert choose() == 2
    assert lock.exists()


def test_a_strangers_young_lock_may_be_that_of_a_server_that_starts(
    temporary: Path, dead_process: int, choose: Callable[[], int]
) -> None:
    lock = leave_lock(temporary, dead_process, age=0)

    assert choose() == 2
    assert lock.exists()


def test_our_own_dead_servers_lock_goes_however_young(temporary: Path, choose: Callable[[], int]) -> None:
    display.note_server(1, temporary)
    lock = leave_lock(temporary, os.getpid(), age=0)

    assert choose() == 1
    assert not lock.exists()


def test_a_number_that_is_passed_over_is_not_kept(
    temporary: Path, dead_process: int, choose: Callable[[], int]
) -> None:
    lock = leave_lock(temporary, dead_process, age=0)
    assert choose() == 2
    lock.unlink()

    assert choose() == 1


def test_a_live_server_on_the_abstract_socket_counts(temporary: Path, dead_process: int) -> None:
    lock = leave_lock(temporary, dead_process)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{temporary}/.X11-unix/X1")
        listening.listen()

        assert not display.release(1, temporary)
    assert lock.exists()


@pytest.mark.usefixtures("server")
def test_waiting_for_another_servers_display_ends_with_its_number(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "START_SECONDS", -0.9)

    with pytest.raises(DesktopError, match=":1 belongs to another server"):
        display.wait_until_free(1, temporary)


def test_no_folder_for_sockets(tmp_path: Path) -> None:
    (tmp_path / ".X11-unix").write_text("a file")

    with pytest.raises(DesktopError, match="mount a writable /tmp"):
        display.choose(tmp_path)
