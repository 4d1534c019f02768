"""The desktop's processes: started again when they crash, without end and without harm; heard in the log."""

from collections.abc import Callable

import pytest
from desktops import pod
from desktops.docker import Docker
from desktops.images import Workshop
from desktops.launch import Family, Launch

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
            client.screenshot()
        assert desktop.running
