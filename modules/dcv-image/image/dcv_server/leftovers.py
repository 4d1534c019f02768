"""What an earlier life of this container left of its displays, after SIGKILL.

Other containers share the folder with the sockets: only displays that this container noted as its own are
looked at, and one that still has a listener is left alone all the same.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from . import display_record
from .xauthority import path_of


def remove_dead_displays(temporary: Path, sockets: Path) -> list[int]:
    """Remove lock, socket, authority and note of our own displays that nobody serves any more; say which."""
    dead = [
        display for display in display_record.noted(temporary) if not has_listener(sockets / f"X{display}")
    ]
    for display in dead:
        for path in (sockets / f"X{display}", path_of(display, sockets), temporary / f".X{display}-lock"):
            with suppress(FileNotFoundError):
                path.unlink()
        display_record.remove(display, temporary)
    return dead


def has_listener(path: Path) -> bool:
    """Whether a process accepts connections there. When that cannot be told, it counts as one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
    return True
