"""The command line of the VNC server, which is the X server of the desktop too."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import display, sockets
from .address import TcpAddress, UnixAddress
from .errors import DesktopError, say

PROGRAMS = ("Xtigervnc", "Xvnc")  # Debian's name, and everybody else's
DEFAULT_GEOMETRY = "1280x720"
_GEOMETRY = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)
# Pixels of a side. X ends at 32767, where a screen takes 4 GiB; with less than 64, nothing can be done.
SHORTEST, LONGEST = 64, 16384
NO = ("0", "false", "no", "off")


def command(
    number: int, address: UnixAddress | TcpAddress, environment: Mapping[str, str], home: Path
) -> list[str]:
    """Program and arguments of the server.

    Raises:
        DesktopError: the image has no VNC server.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise DesktopError(f"the image has no VNC server: none of {', '.join(PROGRAMS)} is installed")
    return [
        program,
        f":{number}",
        *_listen(address),
        # The proxy beside the desktop authenticates its clients; nothing else reaches the socket.
        *("-SecurityTypes", "None"),
        # All clients are the proxy: a failure of one must not lock out the next.
        "-UseBlacklist=0",
        *("-geometry", _geometry(environment), "-depth", "24", "-dpi", "96"),
        f"-AcceptSetDesktopSize={int(environment.get('DESKTOP_RESIZE', '').lower() not in NO)}",
        *("-AlwaysShared", "-noreset"),
        # X clients come by the socket's file alone: an abstract one is seen by the whole pod.
        *("-nolisten", "tcp", "-nolisten", "local"),
        *("-desktop", home.name or "desktop"),
    ]


def clear_address(address: UnixAddress | TcpAddress) -> None:
    """Make way for a server that is to listen there.

    Raises:
        DesktopError: the socket's folder cannot be written, or another server listens there.
    """
    if isinstance(address, UnixAddress):
        sockets.check_folder(address.path.parent)
        sockets.clear(address.path)


def run(
    number: int,
    address: UnixAddress | TcpAddress,
    environment: Mapping[str, str],
    home: Path,
    keyboard: Sequence[str],
) -> None:
    """Become the VNC server.

    Raises:
        DesktopError: it cannot be started.
    """
    display.wait_until_free(number)
    clear_address(address)
    arguments = command(number, address, environment, home)
    if keyboard:
        _set_keyboard_later(number, keyboard)
    display.note_server(number)
    os.execv(arguments[0], arguments)  # noqa: S606 - the server takes this process's place


def _listen(address: UnixAddress | TcpAddress) -> list[str]:
    if isinstance(address, UnixAddress):
        return ["-rfbport", "-1", "-rfbunixpath", str(address.path), "-rfbunixmode", "0660"]
    if not address.host:
        return ["-rfbport", str(address.port)]
    # Without this, an address of one family would open the other family's port too.
    other = "-UseIPv6=0" if ":" not in address.host else "-UseIPv4=0"
    return ["-rfbport", str(address.port), "-interface", address.host, other]


def _geometry(environment: Mapping[str, str]) -> str:
    text = environment.get("DESKTOP_GEOMETRY", "")
    if _is_geometry(text):
        return text
    if text:
        say(
            f"DESKTOP_GEOMETRY is {text!r}, not WIDTHxHEIGHT with {SHORTEST} to {LONGEST} pixels each: "
            f"it is taken for {DEFAULT_GEOMETRY}"
        )
    return DEFAULT_GEOMETRY


def _is_geometry(text: str) -> bool:
    found = _GEOMETRY.fullmatch(text)
    return found is not None and all(SHORTEST <= int(side) <= LONGEST for side in found.groups())


def _set_keyboard_later(number: int, keyboard: Sequence[str]) -> None:
    """Leave a process behind that sets the keyboard as soon as the server answers."""
    if os.fork():
        os.wait()
        return
    # Its parent is the init process, for the VNC server does not ask for the end of children.
    if os.fork():
        os._exit(0)
    try:
        display.wait_for(display.socket(number), display.START_SECONDS)
    except DesktopError as error:
        say(f"the keyboard is not set: {error}")
        os._exit(1)
    arguments = ["setxkbmap", "-display", f":{number}", *keyboard]
    os.execvp(arguments[0], arguments)  # noqa: S606
