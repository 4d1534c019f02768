"""What an earlier life of this container left in `/tmp`, after SIGKILL.

Other containers share the folder with the sockets. A lock file `/tmp/.X<n>-lock` lies outside that folder, in
this container's own `/tmp`, so it tells which displays were ours. A display that still has a listener is left
alone all the same.
"""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from .xauthority import path_of

LOCK = re.compile(r"\.X(\d+)-lock")


def remove_dead_displays(temporary: Path, sockets: Path) -> list[int]:
    """Remove lock, socket and authority of our own displays that nobody serves any more; say which."""
    removed = []
    for lock in sorted(temporary.iterdir()):
        found = LOCK.fullmatch(lock.name)
        if not found:
            continue
        display = int(found.group(1))
        if has_listener(sockets / f"X{display}"):
            continue
        for path in (sockets / f"X{display}", path_of(display, sockets), lock):
            _remove(path)
        removed.append(display)
    return removed


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


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
