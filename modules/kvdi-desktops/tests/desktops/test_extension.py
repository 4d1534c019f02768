"""The README's own example of an extension, built and run as it stands there, in both families."""

import re
import signal
from pathlib import Path

import pytest
from applications import wait_for_another, wait_for_window
from desktops import pod
from desktops.docker import Docker
from desktops.images import Workshop
from desktops.launch import Family, Launch
from records import assert_recorded

pytestmark = pytest.mark.engine

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = re.compile(r"^## Extending an image\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^`([\w./-]+)`:\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def example() -> dict[str, str]:
    """The example's files, by name."""
    section = SECTION.search(README.read_text("utf-8"))
    assert section, f"{README} has no section `## Extending an image`"
    return dict(FILE.findall(section.group(1)))


def test_the_example_is_whole() -> None:
    assert "Dockerfile" in example()


def test_the_example_adds_an_application_and_a_process(
    docker: Docker, workshop: Workshop, tmp_path: Path, family: str
) -> None:
    for name, content in example().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    base = workshop.image(f"debian-{family}-base")
    extended = f"{base}-extended"

    docker.build(tmp_path, extended, {"BASE_IMAGE": base, "FAMILY": family}, tmp_path / "Dockerfile")

    with pod.running(docker, Launch(extended, Family(family), restricted=True)) as desktop:
        desktop.connect().close()
        assert_recorded(desktop)
        # The shell in it gives the window a title of its own; its class stays.
        wait_for_window(desktop, '"xterm" "XTerm"')
        killed = desktop.programs("xterm")
        assert [owner_of(pid) for pid in killed] == [desktop.launch.desktop_uid]
        # It is looked after like the desktop's own processes.
        desktop.signal_program("xterm", signal.SIGKILL)
        wait_for_another(desktop, "xterm", killed)


def owner_of(pid: int) -> int:
    """The user of a process."""
    return Path(f"/proc/{pid}").stat().st_uid
