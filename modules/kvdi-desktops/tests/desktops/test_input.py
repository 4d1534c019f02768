"""Keyboard, pointer and clipboard, from a client over RFB to an application and back."""

from collections.abc import Callable

import pytest
from applications import copy_on_desktop, event_log, paste_on_desktop
from desktop_support import built_here
from desktops.pod import Pod
from desktops.rfb import CONTROL, keysym_of

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", [name for name in built_here() if name.endswith(("-base", "-kde"))])
def test_keyboard_and_pointer_reach_an_application(shared: Callable[[str], Pod], name: str) -> None:
    desktop = shared(name)

    with event_log(desktop) as application, desktop.connect() as client:
        client.point(400, 300)
        application.wait_for(r"MotionNotify event|EnterNotify event")
        client.click(410, 310)
        application.wait_for(r"ButtonPress event.*\n.*\n.*button 1,")
        client.click(410, 310, button=3)
        application.wait_for(r"ButtonPress event.*\n.*\n.*button 3,")
        client.write("aZ")
        application.wait_for(r"KeyPress event.*\n.*\n.*keysym 0x61, a\)")
        application.wait_for(r"KeyPress event.*\n.*\n.*keysym 0x5a, Z\)")
        client.press(CONTROL, keysym_of("c"))
        application.wait_for(r"KeyPress event.*\n.*\n.*state 0x4, .*keysym 0x63, c\)")


@pytest.mark.parametrize("character", ["ä", "€", "ß", "ñ", "中"])
def test_characters_of_other_keyboards_arrive(
    shared: Callable[[str], Pod], family: str, character: str
) -> None:
    desktop = shared(f"debian-{family}-base")

    with event_log(desktop) as application, desktop.connect() as client:
        client.point(400, 300)
        client.write(character)
        found = application.wait_for(r"KeyPress event.*\n.*\n.*\(keysym (0x[0-9a-f]+),")
        # The Euro has a name of its own in X beside its Unicode (keysymdef.h).
        assert int(found.group(1), 16) in {keysym_of(character), {"€": 0x20AC}.get(character)}


def test_what_an_application_copies_arrives_at_the_client(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")

    with desktop.connect() as client:
        client.screenshot()
        copy_on_desktop(desktop, f"copied on {family}, grüezi")
        client.wait_for_clipboard(f"copied on {family}, grüezi")


def test_what_the_client_copies_can_be_pasted(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")

    with desktop.connect() as client:
        client.copy(f"copied by the client of {family}, señor")
        client.screenshot()

        assert paste_on_desktop(desktop) == f"copied by the client of {family}, señor"
