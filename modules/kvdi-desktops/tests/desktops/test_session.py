"""Sessions of large desktops: saved when they are stopped; Xfce's has nothing to set up when it starts."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from applications import wait_for_window
from desktop_support import LONG, only_long
from desktops import pictures
from desktops.pod import Pod
from desktops.rfb import Client

pytestmark = pytest.mark.engine

SIZE = (1280, 720)
PAINTING_SECONDS = 180.0


@dataclass(frozen=True)
class Session:
    """A desktop that has sessions.

    Attributes:
        button: where the panel starts the terminal, in pixels.
        terminal: class of the terminal's windows.
    """

    desktop: str
    button: tuple[int, int]
    terminal: str

    def __str__(self) -> str:
        return self.desktop


XFCE = Session("xfce4", (116, 13), "Xfce4-terminal")
PLASMA = Session("kde", (122, 698), '"konsole"')
# Plasma's images take minutes to build.
every_session = pytest.mark.parametrize("session", [XFCE, *([PLASMA] if LONG else [])], ids=str)
SETTINGS = ".config/xfce4/xfconf/xfce-perchannel-xml"
PLASMA_SETTINGS = ".config/plasma-org.kde.plasma.desktop-appletsrc"
# As its settings dialogues do it, in the shell's own process.
CHANGE = """export DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus
dbus-send --session --print-reply --dest=org.kde.plasmashell /PlasmaShell \
    org.kde.PlasmaShell.evaluateScript 'string:desktops()[0].writeConfig("changed", "last")'
"""
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


@every_session
def test_a_terminal_is_open_again_after_the_desktop_was_stopped(
    launched: Callable[..., Pod], family: str, session: Session
) -> None:
    desktop = launched(f"debian-{family}-{session}")
    with desktop.connect() as client:
        wait_until_painted(client, session)
        client.click(*session.button)
        wait_for_window(desktop, session.terminal)

    desktop.stop()
    desktop.start()

    with desktop.connect():
        wait_for_window(desktop, session.terminal)


@only_long
@every_session
def test_it_comes_back_with_its_picture(launched: Callable[..., Pod], family: str, session: Session) -> None:
    desktop = launched(f"debian-{family}-{session}")
    with desktop.connect() as client:
        wait_until_painted(client, session)

    desktop.stop()
    desktop.start()

    with desktop.connect() as client:
        wait_until_painted(client, session)


def test_a_first_start_has_no_defaults_to_write(launched: Callable[..., Pod]) -> None:
    """Window manager and shortcuts set up one by one were a third of what a first start took."""
    desktop = launched("debian-supervisord-xfce4")
    with desktop.connect() as client:
        wait_until_painted(client, XFCE)

    desktop.stop()

    settings = desktop.on_host(f"/home/ada/{SETTINGS}")
    assert (settings / "xfce4-panel.xml").exists(), "nothing was saved"
    assert not (settings / "xfwm4.xml").exists()
    assert " value=" not in (settings / "xfce4-keyboard-shortcuts.xml").read_text().partition("providers")[0]


def test_what_a_program_writes_when_it_is_told_to_end_is_saved(
    launched: Callable[..., Pod], family: str
) -> None:
    """Xfce's settings daemon is one: what was changed last it writes after all others have ended."""
    desktop = launched(f"debian-{family}-xfce4")
    autostart = desktop.on_host("/home/ada") / ".config/autostart"
    with desktop.connect() as client:
        wait_until_painted(client, XFCE)
    desktop.stop()
    autostart.mkdir(parents=True, exist_ok=True)
    (autostart / "slow.desktop").write_text(SLOW_TO_SAVE)
    desktop.on_host("/home/ada/slow").write_text(SLOW_PROGRAM)
    desktop.start()
    desktop.wait_for_log("the slow one runs", seconds=120.0)

    desktop.stop()

    assert desktop.on_host("/home/ada/saved").read_text() == "everything\n"


@only_long
def test_what_plasma_has_not_written_yet_is_saved(launched: Callable[..., Pod], family: str) -> None:
    """Its shell writes what a user changes on panels and desktop some seconds later, or when it ends."""
    desktop = launched(f"debian-{family}-kde")
    with desktop.connect() as client:
        wait_until_painted(client, PLASMA)
    done = desktop.execute("sh", "-c", CHANGE)
    assert done.returncode == 0, done.stderr

    desktop.stop()

    assert "changed=last" in desktop.on_host(f"/home/ada/{PLASMA_SETTINGS}").read_text()


def wait_until_painted(client: Client, session: Session) -> None:
    """Wait for the desktop's picture, as the reference has it."""
    reference = pictures.read(pictures.reference(session.desktop, SIZE))
    client.wait_for_picture(lambda seen: pictures.is_like(seen, reference), PAINTING_SECONDS)
