"""A session of Xfce is saved when it is stopped, and comes back."""

from collections.abc import Callable

import pytest
from applications import wait_for_window
from desktops import pictures
from desktops.pod import Pod
from desktops.rfb import Client

pytestmark = pytest.mark.engine

SIZE = (1280, 720)
TERMINAL_BUTTON = (116, 13)  # in the panel
TERMINAL = "Xfce4-terminal"  # class of its windows


def test_a_terminal_is_open_again_after_the_desktop_was_stopped(
    launched: Callable[..., Pod], family: str
) -> None:
    desktop = launched(f"debian-{family}-xfce4")
    with desktop.connect() as client:
        wait_until_painted(client)
        client.click(*TERMINAL_BUTTON)
        wait_for_window(desktop, TERMINAL)

    desktop.stop()
    desktop.start()

    with desktop.connect():
        wait_for_window(desktop, TERMINAL)


def wait_until_painted(client: Client) -> None:
    """Wait for the desktop's picture, as the reference has it."""
    reference = pictures.read(pictures.reference("xfce4", SIZE))
    client.wait_for_picture(lambda seen: pictures.is_like(seen, reference), 60.0)
