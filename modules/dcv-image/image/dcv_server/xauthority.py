"""The display's X authority: read from the session, published for applications in other containers.

The published file lies beside the display's socket, in the folder that the containers share. Whoever may
read it may draw: its group decides that, so an application's container runs with that group (in Kubernetes
`supplementalGroups`).
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"
# FamilyWild (Xauth.h): the entry counts on every host, and each container is a host of its own.
WILD = 0xFFFF
MODE = 0o640


def path_of(display: int, sockets: Path) -> Path:
    """Where the authority of a display is published."""
    return sockets / f"xauthority-{display}"


def cookie_of(content: bytes, display: int) -> bytes:
    """The display's cookie in the content of an X authority file; empty when there is none."""
    for number, name, data in _entries(content):
        if name == COOKIE_NAME and number in (b"", str(display).encode()):
            return data
    return b""


def publish(display: int, cookie: bytes, group: int, sockets: Path) -> bool:
    """Write the file, unless it is right already; say whether it was written.

    Raises:
        OSError: it cannot be written.
    """
    path = path_of(display, sockets)
    content = entry(display, cookie)
    if _is_right(path, content, group):
        return False
    # A new name in the same folder, then renamed: readers see all or nothing; no link of others is followed.
    descriptor, name = tempfile.mkstemp(dir=str(sockets), prefix=".xauthority-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), MODE)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    return True


def entry(display: int, cookie: bytes) -> bytes:
    """One entry of an X authority file (libXau's format), for every host."""
    fields = (b"", str(display).encode(), COOKIE_NAME, cookie)
    return struct.pack(">H", WILD) + b"".join(struct.pack(">H", len(field)) + field for field in fields)


def _is_right(path: Path, content: bytes, group: int) -> bool:
    try:
        found = path.stat()
        return path.read_bytes() == content and found.st_gid == group and found.st_mode & 0o777 == MODE
    except OSError:
        return False


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Display number, protocol name and data of each entry (`Xauthority` format; see libXau)."""
    offset = 0
    while offset + 2 <= len(content):
        offset += 2  # the address family; the address follows as the first of four counted fields
        fields = []
        for _ in range(4):
            (length,) = struct.unpack_from(">H", content.ljust(offset + 2, b"\0"), offset)
            fields.append(content[offset + 2 : offset + 2 + length])
            offset += 2 + length
        yield fields[1], fields[2], fields[3]
