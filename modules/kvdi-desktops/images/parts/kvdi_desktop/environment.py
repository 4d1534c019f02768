"""The environment of everything that runs on the desktop."""

from __future__ import annotations

from pathlib import Path

from .account import SHELL
from .settings import Settings

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The manager mounts the client of its Docker-in-Docker there.
DOCKER_PATH = "/usr/local/docker/bin"


def session(settings: Settings, home: Path, runtime: Path, number: int, path: str) -> dict[str, str]:
    """Variables that differ from, or are missing in, what the manager sets.

    Args:
        settings: the desktop's settings.
        home: the folder that is used as home.
        runtime: the user's XDG_RUNTIME_DIR.
        number: of the X display.
        path: PATH as the container has it.
    """
    folders = (path or PATH).split(":")
    return {
        "USER": settings.user,
        "LOGNAME": settings.user,
        "UID": str(settings.uid),
        "HOME": str(home),
        "SHELL": SHELL,
        "LANG": settings.language,
        "PATH": ":".join([*folders, *([] if DOCKER_PATH in folders else [DOCKER_PATH])]),
        "DISPLAY": f":{number}",
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_SESSION_TYPE": "x11",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        "PULSE_SERVER": f"unix:{audio_socket(settings.audio_uid)}",
    }


def audio_socket(uid: int) -> Path:
    """Where the sidecar plays and records."""
    return Path(f"/run/user/{uid}/pulse/native")
