"""Talks to an X server over its Unix socket: just enough to know that it answers.

A connection alone proves nothing, for the kernel accepts it even when the server is stopped. So the
first message of the X protocol is sent, and the server has to reply (X Window System Protocol,
Connection Setup).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108 - where every X server puts its sockets
COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"
REPLIES = {0, 1, 2}  # Failed, Success, Authenticate: each comes from a server that lives


class DisplayError(Exception):
    """The display does not answer; the text says why."""


def greet(display: int, cookie: bytes, sockets: Path, seconds: float) -> None:
    """Open a connection to the display and wait for the X server's reply.

    A refusal is a reply too. The cookie only keeps refusals out of the server's log.

    Raises:
        DisplayError: no socket, no listener, or no reply within the time.
    """
    path = sockets / f"X{display}"
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            connection.sendall(_setup(cookie))
            connection.settimeout(max(end - time.monotonic(), 0.01))
            reply = connection.recv(1)
        except FileNotFoundError:
            raise DisplayError(f"the display socket {path} does not exist") from None
        except ConnectionRefusedError:
            raise DisplayError(f"nothing listens on the display socket {path}") from None
        except OSError as error:
            raise DisplayError(f"the X server behind {path} does not answer: {error}") from None
    if not reply or reply[0] not in REPLIES:
        raise DisplayError(f"what listens on {path} is no X server")


def read_cookie(authority: Path, display: int) -> bytes:
    """The display's cookie from an X authority file; empty when there is none that we can read."""
    try:
        content = authority.read_bytes()
    except OSError:
        return b""
    for number, name, data in _entries(content):
        if name == COOKIE_NAME and number in (b"", str(display).encode()):
            return data
    return b""


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


def _setup(cookie: bytes) -> bytes:
    """The client's first message: byte order, protocol 11.0, and the authorization."""
    name = COOKIE_NAME if cookie else b""
    head = struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(cookie))
    return head + _padded(name) + _padded(cookie)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
