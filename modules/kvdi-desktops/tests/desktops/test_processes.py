"""The desktop's processes: started again when they crash, without end and without harm; heard in the log."""

import signal
import socket
from collections.abc import Callable

import pytest
from applications import wait_for_another
from desktop_support import only_long
from desktops import pod
from desktops.docker import Docker
from desktops.images import Workshop
from desktops.launch import Family, Launch
from desktops.pod import Pod

pytestmark = pytest.mark.engine

CRASHES = {
    "supervisord": (
        "/etc/supervisor/conf.d/crasher.conf",
        "[program:crasher]\ncommand=/bin/sh -c 'echo the crasher says hello; exit 3'\nstartsecs=1\n"
        "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\nredirect_stderr=true\n",
        "true",
    ),
    "systemd": (
        "/etc/systemd/user/crasher.service",
        "[Service]\nExecStart=/bin/sh -c 'echo the crasher says hello; exit 3'\nRestart=always\n"
        "[Install]\nWantedBy=default.target\n",
        "systemctl --global enable crasher.service",
    ),
}

# What each family says when it starts a process no more: ours in supervisord, and systemd itself.
GIVEN_UP = {
    "supervisord": "the process crasher ends again and again: it is not started any more",
    "systemd": "crasher.service: Start request repeated too quickly",
}
GIVE_UP_SECONDS = 90.0  # systemd's interval is a minute
# Each attempt to start a VNC server waits for the display, and supervisord pauses longer after each.
NO_DISPLAY_SECONDS = 300.0


@pytest.fixture(scope="module")
def crashing(docker: Docker, workshop: Workshop) -> Callable[[str], str]:
    """An image with a process that crashes for ever."""

    def image(family: str) -> str:
        path, content, enable = CRASHES[family]
        base = workshop.image(f"debian-{family}-base")
        tag = f"{base}-crasher"
        quoted = content.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "'\\''")
        dockerfile = f"FROM {base}\nUSER 0\nRUN printf '{quoted}' >{path} && {enable}\n"
        if Family(family) is Family.SUPERVISORD:
            dockerfile += "USER 9000\n"
        done = docker.attempt("build", "--quiet", f"--tag={tag}", "-", stdin=dockerfile)
        assert done.returncode == 0, done.stderr
        return tag

    return image


def test_one_that_crashes_for_ever_is_in_the_log_and_harms_nothing(
    docker: Docker, crashing: Callable[[str], str], family: str
) -> None:
    launch = Launch(crashing(family), Family(family), restricted=True)

    with pod.running(docker, launch) as desktop:
        with desktop.connect() as client:
            desktop.wait_for_log("the crasher says hello")
            desktop.wait_for_log(GIVEN_UP[family], GIVE_UP_SECONDS)
            client.screenshot()
        assert desktop.running


def test_a_session_that_crashes_leaves_nothing_that_is_there_twice_then(launched: Callable[..., Pod]) -> None:
    """Openbox's bar is started beside it, and outlived it."""
    desktop = launched("debian-supervisord-openbox")
    programs = ("openbox", "tint2")
    for program in programs:
        wait_for_another(desktop, program, [])
    before = {program: desktop.programs(program) for program in programs}

    desktop.signal_program("openbox", signal.SIGKILL)

    for program in programs:
        wait_for_another(desktop, program, before[program])
        assert len(desktop.programs(program)) == 1
    with desktop.connect() as client:
        client.screenshot()


@only_long
def test_without_its_vnc_server_the_container_ends(launched: Callable[..., Pod], family: str) -> None:
    """Another server has taken the display's socket, so that ours waits for it each time, and in vain."""
    desktop = launched(f"debian-{family}-base")
    desktop.connect().close()
    display = desktop.on_host("/tmp/.X11-unix/X1")
    display.unlink()

    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(display))
        display.chmod(0o777)
        # Nobody accepts what is sent there: there is room for each look at it.
        stranger.listen(4096)
        desktop.signal_program(pod.X_SERVER, signal.SIGKILL)

        assert desktop.wait_until_ended(NO_DISPLAY_SECONDS) != 0
    assert "the X display :1 belongs to another server" in desktop.log
