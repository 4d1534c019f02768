"""A session on whose display applications of other containers draw."""

from collections.abc import Sequence
from pathlib import Path

from .containers import Container, until
from .pods import Pod

CLIENT = (Path(__file__).parent / "x_client.py").read_text(encoding="utf-8")
GROUP = 4711  # not the default, so that it is the setting that counts
COLOUR = (0x12, 0xA0, 0xE7)
DRAWN = ["".join(f"{part:02x}" for part in COLOUR)] * 9
STRANGER = "2000:2000"
OWNER = "1000:1000"  # the first account that the start makes


class Desktop:
    """A session whose socket folder other containers mount."""

    def __init__(self, pod: Pod, sockets: Path, environment: dict[str, str] | None = None) -> None:
        sockets.chmod(0o755)  # as a kubelet makes a folder of the node
        self._pod = pod
        self._mount = ("--volume", f"{sockets}:/tmp/.X11-unix")
        variables = {"DCV_DISPLAY_GROUP_ID": str(GROUP), **(environment or {})}
        self.container = pod.healthy(options=self._mount, environment=variables)

    def application(self, *options: str) -> Container:
        """Another container of no rights, which draws nothing yet."""
        return self._pod.containers.application([*self._mount, "--user", STRANGER, *options])

    def screen(self) -> list[str]:
        """A screenshot by the session's own user: the colours of nine points."""
        described = self.container.run("dcv", "describe-session", "default-session", "--json").stdout
        path = next(part for part in described.split('"') if part.endswith(".xauth"))
        look: Sequence[str] = ("env", "DISPLAY=:0", f"XAUTHORITY={path}", "dcv-python", "-", "look")
        return self.container.run(*look, text=CLIENT, user=OWNER).stdout.splitlines()[1:]


def draw(container: Container, authority: str = "/tmp/.X11-unix/xauthority-0") -> str:
    """What an application says that has covered the screen with a colour, or was refused."""
    colours = " ".join(map(str, COLOUR))
    container.run("bash", "-c", "cat >/tmp/client.py", text=CLIENT, user=STRANGER)
    program = f"dcv-python /tmp/client.py fill {colours} >/tmp/said 2>&1 </dev/null & echo"
    container.run("env", "DISPLAY=:0", f"XAUTHORITY={authority}", "bash", "-c", program, user=STRANGER)
    until("the application says something", lambda: container.run("cat", "/tmp/said").stdout.endswith("\n"))
    return container.run("cat", "/tmp/said").stdout
