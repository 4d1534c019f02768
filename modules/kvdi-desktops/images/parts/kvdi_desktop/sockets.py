"""Unix sockets: whether somebody answers, and what a killed server left behind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from .errors import DesktopError

SECONDS = 1.0


def answers(path: Path | str) -> bool:
    """Whether somebody listens on the socket; a name with a leading zero byte is an abstract one.

    Only a refusal or an absent socket means that nobody does: whatever else happens, somebody may.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
    return True


def clear(path: Path) -> None:
    """Remove the socket that a killed server left, so that a new one can listen there.

    Raises:
        DesktopError: somebody listens there, or it is no socket.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise DesktopError(f"{path} exists and is no socket: remove it, or give another address")
    if answers(path):
        raise DesktopError(f"another server listens on {path}: give each desktop its own socket")
    path.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Make sure that a socket can be made in the folder by the user that this process is.

    Raises:
        DesktopError: it cannot; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DesktopError(f"the socket's folder {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise DesktopError(
            f"the socket's folder {folder} cannot be written by uid {os.geteuid()}: "
            "mount it so that this user or its group can (fsGroup), or give another address"
        )
