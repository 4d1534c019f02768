"""Everything between the manager's environment and the first process of the desktop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from . import account, display, environment, folders, home, vnc
from .address import UnixAddress
from .errors import say
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
        account.record(own / "extrausers", settings.user, settings.uid, settings.gid, chosen)
        folders.home_link(own, chosen)
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


def _socket_folders(settings: Settings) -> list[Path]:
    """Folders in which the user's processes make the sockets that other containers use."""
    display_folder = [settings.address.path.parent] if isinstance(settings.address, UnixAddress) else []
    return [*display_folder, environment.audio_socket(settings.audio_uid).parent.parent]


def _described(settings: Settings) -> str:
    if isinstance(settings.address, UnixAddress):
        return f"socket {settings.address.path}"
    return f"TCP {settings.address.host or '*'}:{settings.address.port}"


def display_number(variables: Mapping[str, str]) -> int:
    """The number in DISPLAY, as `prepare` has set it."""
    return int(variables["DISPLAY"].removeprefix(":"))


def home_of(variables: Mapping[str, str]) -> Path:
    """The home, as `prepare` has set it."""
    return Path(variables["HOME"])
