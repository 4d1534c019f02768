"""Applications in other containers draw on the session's display, when they are given its cookie."""

from pathlib import Path

import pytest

from .conftest import Pod
from .containers import Container, docker, until

pytestmark = pytest.mark.engine

CLIENT = (Path(__file__).parent / "x_client.py").read_text()
GROUP = 4711  # not the default, so that it is the setting that counts
COLOUR = (0x12, 0xA0, 0xE7)
STRANGER = "2000:2000"
OWNER = "1000:1000"  # the first account that the start makes


class Desktop:
    """A session whose socket folder other containers mount."""

    def __init__(self, pod: Pod, sockets: Path) -> None:
        sockets.chmod(0o755)  # as a kubelet makes a folder of the node
        self._pod = pod
        self._mount = ("--volume", f"{sockets}:/tmp/.X11-unix")
        self.container = pod.healthy(options=self._mount, environment={"DCV_DISPLAY_GROUP_ID": str(GROUP)})

    def application(self, *options: str) -> Container:
        """Another container of no rights, which draws nothing yet."""
        return self._pod.containers.application([*self._mount, "--user", STRANGER, *options])

    def screen(self) -> list[str]:
        """What the session's own user sees: nine points."""
        authority = self.container.run("dcv", "describe-session", "default-session", "--json").stdout
        path = next(part for part in authority.split('"') if part.endswith(".xauth"))
        done = self.container.run(
            *("env", "DISPLAY=:0", f"XAUTHORITY={path}", "dcv-python", "-", "look"), text=CLIENT, user=OWNER
        )
        return done.stdout.splitlines()[1:]


@pytest.fixture
def desktop(pod: Pod, tmp_path: Path) -> Desktop:
    return Desktop(pod, tmp_path)


def draw(container: Container, authority: str = "/tmp/.X11-unix/xauthority-0") -> str:
    """What an application says that has covered the screen with a colour, or was refused."""
    colours = " ".join(map(str, COLOUR))
    container.run("bash", "-c", "cat >/tmp/client.py", text=CLIENT, user=STRANGER)
    program = f"dcv-python /tmp/client.py fill {colours} >/tmp/said 2>&1 </dev/null & echo"
    container.run("env", "DISPLAY=:0", f"XAUTHORITY={authority}", "bash", "-c", program, user=STRANGER)
    until("the application says something", lambda: container.run("cat", "/tmp/said").stdout.endswith("\n"))
    return container.run("cat", "/tmp/said").stdout


def test_an_application_with_the_cookie_draws_on_the_display(desktop: Desktop) -> None:
    before = desktop.screen()
    said = draw(desktop.application("--group-add", str(GROUP)))

    assert said == "drawn\n"
    colour = "".join(f"{part:02x}" for part in COLOUR)
    assert desktop.screen() == [colour] * 9
    assert before != desktop.screen()


def test_a_user_outside_the_group_cannot_read_the_cookie_and_is_refused(desktop: Desktop) -> None:
    before = desktop.screen()
    said = draw(desktop.application())

    assert "Permission denied" in said
    assert "Authorization required" in said
    assert desktop.screen() == before


def test_a_wrong_cookie_is_refused(desktop: Desktop) -> None:
    container = desktop.application("--group-add", str(GROUP))
    wrong = "head -c -16 /tmp/.X11-unix/xauthority-0 >/tmp/wrong && printf %016d 0 >>/tmp/wrong"
    docker("exec", container.name, "bash", "-c", wrong)
    before = desktop.screen()

    assert "drawn" not in draw(container, "/tmp/wrong")
    assert desktop.screen() == before
