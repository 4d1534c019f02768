"""The home: empty, a volume with files, restored with other owners, full, or not writable."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desktops import pod
from desktops.docker import Docker
from desktops.launch import Launch
from desktops.pod import Pod

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes volumes with owners of their own: needs root"),
]


@contextmanager
def small_volume(folder: Path, kibibytes: int) -> Iterator[None]:
    """A volume that is soon full."""
    size = f"size={kibibytes}k,mode=2777,gid=9000"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Make the file as large as the volume lets it be."""
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


@contextmanager
def prepared(docker: Docker, launch: Launch) -> Iterator[Pod]:
    """A desktop whose home can be prepared before its start."""
    made = pod.create(docker, launch)
    try:
        yield made
    finally:
        made.remove()


def test_an_empty_home_is_the_users(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")

    done = desktop.execute(
        "sh", "-c", 'cd && pwd && touch here && [ "$(stat -c %u here)" = "$(id -u)" ] && rm here'
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_files_of_a_volume_stay_as_they_are(
    docker: Docker, launch_of: Callable[[str], Launch], family: str
) -> None:
    with prepared(docker, launch_of(f"debian-{family}-base")) as desktop:
        mine = desktop.on_host("/home/ada/.profile")
        mine.write_text("# mine\n")
        os.chown(mine, 9000, 9000)
        desktop.start()
        desktop.connect().close()

        assert mine.read_text() == "# mine\n"


def test_a_full_home_does_not_stop_the_desktop(
    docker: Docker, launch_of: Callable[[str], Launch], family: str
) -> None:
    with (
        prepared(docker, launch_of(f"debian-{family}-base")) as desktop,
        small_volume(desktop.on_host("/home/ada"), 16),
    ):
        fill(desktop.on_host("/home/ada/filler"))
        desktop.start()
        with desktop.connect() as client:
            client.screenshot()

        assert "/home/ada" in desktop.log
        assert "Traceback" not in desktop.log


def test_a_home_of_somebody_else_does_not_stop_the_desktop(
    docker: Docker, launch_of: Callable[[str], Launch]
) -> None:
    with prepared(docker, launch_of("debian-supervisord-base")) as desktop:
        home = desktop.on_host("/home/ada")
        os.chown(home, 1234, 1234)
        home.chmod(0o700)
        desktop.start()
        with desktop.connect() as client:
            client.screenshot()

        assert "/home/ada" in desktop.log
        assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (1234, 0o700)


def test_files_for_the_transfer_are_the_homes(shared: Callable[[str], Pod], family: str) -> None:
    """The sidecar has the home at /mnt/home; a program that uses that path finds the same files."""
    desktop = shared(f"debian-{family}-base")

    done = desktop.execute("sh", "-c", "echo sent >~/received && cat /mnt/home/received && rm ~/received")

    assert done.stdout == "sent\n", done.stderr
