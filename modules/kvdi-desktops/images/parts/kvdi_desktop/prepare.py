"""Everything between the manager's environment and the first process of the desktop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from . import account, display, environment, folders, home, vnc
from .address import UnixAddress
from .errors import DesktopError, say
from .privilege import acting_as
from .settings import Settings


def prepare(settings: Settings, variables: Mapping[str, str]) -> tuple[dict[str, str], display.Display]:
    """Make what the desktop needs.

    Returns:
        the variables that its processes get besides their own, and its X display: its claim has to stay open
        for as long as the desktop lives.

    Raises:
        DesktopError: the desktop cannot work.
    """
    if os.geteuid() == 0:
        folders.secure()
    own = folders.state(settings.uid)
    runtime = folders.runtime(settings.uid, settings.gid)
    chosen = home.prepare(
        settings.home, settings.uid, settings.gid, folders.TEMPORARY / f"home-{settings.uid}"
    )
    if own:
        _record(own, settings, chosen)
    if os.geteuid() == 0:
        for folder in _socket_folders(settings):
            folders.give(folder, settings.uid, settings.gid)
    with acting_as(settings.uid, settings.gid):
        vnc.clear_address(settings.address)
        own_display = display.choose()
    number = own_display.number
    say(
        f"display :{number} for {settings.user} (uid {settings.uid}) at {_described(settings)}, home {chosen}"
    )
    return environment.session(settings, chosen, runtime, number, variables.get("PATH", "")), own_display


def _record(folder: Path, settings: Settings, home: Path) -> None:
    """Write down what other programs look up; a desktop without it works, so it does not end here."""
    try:
        account.record(folder / "extrausers", settings.user, settings.uid, settings.gid, home)
        folders.home_link(folder, home)
    except OSError as error:
        say(f"{folder} cannot be written ({error.strerror}): uid {settings.uid} may have no name; make room")


def _socket_folders(settings: Settings) -> list[Path]:
    """Folders in which the user's processes make the sockets that other containers use."""
    display_folder = [settings.address.path.parent] if isinstance(settings.address, UnixAddress) else []
    return [*display_folder, environment.audio_socket(settings.audio_uid).parent.parent]


def _described(settings: Settings) -> str:
    if isinstance(settings.address, UnixAddress):
        return f"socket {settings.address.path}"
    return f"TCP {settings.address.host or '*'}:{settings.address.port}"


def display_number(variables: Mapping[str, str]) -> int:
    """The number in DISPLAY, as `prepare` has set it.

    Raises:
        DesktopError: there is no such number.
    """
    text = made(variables, "DISPLAY")
    try:
        return int(text.removeprefix(":"))
    except ValueError:
        raise DesktopError(f"DISPLAY is {text!r}, and no number of a desktop here such as :1") from None


def home_of(variables: Mapping[str, str]) -> Path:
    """The home, as `prepare` has set it.

    Raises:
        DesktopError: there is none.
    """
    return Path(made(variables, "HOME"))


def made(variables: Mapping[str, str], name: str) -> str:
    """The variable's value, which a start has set for every process of the desktop.

    Raises:
        DesktopError: it is missing, as for a process that somebody else started.
    """
    value = variables.get(name)
    if not value:
        raise DesktopError(f"{name} is not set: the desktop's own processes have it, so start this as one")
    return value
