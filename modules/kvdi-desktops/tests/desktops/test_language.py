"""Language and keyboard that the template asks for: known to the image, and to what runs on the desktop."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from applications import wait_for_another
from desktops.pod import Pod

pytestmark = pytest.mark.engine

GERMAN = {"LANG": "de_DE.UTF-8", "KEYBOARD_LAYOUT": "de", "KEYBOARD_VARIANT": "nodeadkeys"}
SECONDS = 30.0
INTERVAL = 0.2  # the keyboard is set beside the server, some time after it answers


@pytest.fixture
def german(launched: Callable[..., Pod], family: str) -> Pod:
    """A desktop in German that answers."""
    desktop = launched(f"debian-{family}-base", environment=GERMAN)
    desktop.connect().close()
    return desktop


def test_the_image_has_the_language(german: Pod) -> None:
    march = german.execute("env", "LANG=de_DE.UTF-8", "date", "--date=2024-03-01", "+%B")

    assert "de_DE.utf8" in german.execute("locale", "-a").stdout.split()
    assert march.stdout.strip() == "März", march.stderr
    assert "LANG is" not in german.log


def test_programs_of_the_desktop_have_the_language(german: Pod) -> None:
    wait_for_another(german, "pulseaudio", [])

    (process,) = german.programs("pulseaudio")
    # proc(5): what it was started with. A program that the engine runs has the container's variables.
    variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    assert b"LANG=de_DE.UTF-8" in variables


def test_the_keyboard_has_the_layout(german: Pod) -> None:
    wait_for_keyboard(german, "layout", "de")
    wait_for_keyboard(german, "variant", "nodeadkeys")


def wait_for_keyboard(desktop: Pod, property_: str, value: str) -> None:
    """Wait until the X server's keyboard has this, as setxkbmap tells it."""
    deadline = time.monotonic() + SECONDS
    while True:
        said = desktop.execute("setxkbmap", "-display", desktop.display, "-query")
        if re.search(rf"^{property_}:\s+{value}$", said.stdout, re.MULTILINE):
            return
        assert time.monotonic() < deadline, (
            f"{property_} is not {value}:\n{said.stdout}{said.stderr}{desktop.log_tail}"
        )
        time.sleep(INTERVAL)
