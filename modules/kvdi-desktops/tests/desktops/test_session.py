"""A session of Xfce: it has nothing to set up when it starts, and is saved when it is stopped."""

from collections.abc import Callable

import pytest
from applications import wait_for_window
from desktops import pictures
from desktops.pod import Pod
from desktops.rfb import Client

pytestmark = pytest.mark.engine

SIZE = (1280, 720)
TERMINAL_BUTTON = (116, 13)  # in the panel
SETTINGS = ".config/xfce4/xfconf/xfce-perchannel-xml"
TERMINAL = "Xfce4-terminal"  # class of its windows
# Knows nothing of sessions, ends on SIGTERM only, and takes its time. It speaks to the container's log.
SLOW_TO_SAVE = """[Desktop Entry]
Type=Application
Name=Slow
Exec=/bin/sh /home/ada/slow
"""
SLOW_PROGRAM = """trap 'sleep 1; echo everything >/home/ada/saved; exit' TERM
echo the slow one runs
while :; do sleep 0.1; done
"""


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


def test_a_first_start_has_no_defaults_to_write(launched: Callable[..., Pod]) -> None:
    """Window manager and shortcuts set up one by one were a third of what a first start took."""
    desktop = launched("debian-supervisord-xfce4")
    with desktop.connect() as client:
        wait_until_painted(client)

    desktop.stop()

    settings = desktop.on_host(f"/home/ada/{SETTINGS}")
    assert (settings / "xfce4-panel.xml").exists(), "nothing was saved"
    assert not (settings / "xfwm4.xml").exists()
    assert " value=" not in (settings / "xfce4-keyboard-shortcuts.xml").read_text().partition("providers")[0]


def test_what_a_program_writes_when_it_is_told_to_end_is_saved(
    launched: Callable[..., Pod], family: str
) -> None:
    """The settings daemon is such a program: what was changed last it writes after all others have ended."""
    desktop = launched(f"debian-{family}-xfce4")
    autostart = desktop.on_host("/home/ada") / ".config/autostart"
    with desktop.connect() as client:
        wait_until_painted(client)
    desktop.stop()
    autostart.mkdir(parents=True, exist_ok=True)
    (autostart / "slow.desktop").write_text(SLOW_TO_SAVE)
    desktop.on_host("/home/ada/slow").write_text(SLOW_PROGRAM)
    desktop.start()
    desktop.wait_for_log("the slow one runs", seconds=120.0)

    desktop.stop()

    assert desktop.on_host("/home/ada/saved").read_text() == "everything\n"


def wait_until_painted(client: Client) -> None:
    """Wait for the desktop's picture, as the reference has it."""
    reference = pictures.read(pictures.reference("xfce4", SIZE))
    client.wait_for_picture(lambda seen: pictures.is_like(seen, reference), 60.0)
