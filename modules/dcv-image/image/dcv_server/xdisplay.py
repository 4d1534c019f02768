"""Talks to an X server over its Unix socket: just enough to know that it answers and takes the cookie.

A connection alone proves nothing, for the kernel accepts it even when the server is stopped. So the first
message of the X protocol is sent, and the server has to reply (X Window System Protocol, Connection Setup).
"""

from __future__ import annotations

import socket
import stat
import struct
import time
from pathlib import Path

from . import display_record
from .process_table import STOPPED, state_of
from .xauthority import COOKIE_NAME

TEMPORARY = Path("/tmp")  # noqa: S108 - where every X server puts its lock, and the folder of its socket
SOCKETS = TEMPORARY / ".X11-unix"
FAILED, SUCCESS, AUTHENTICATE = 0, 1, 2
CREDENTIALS = struct.Struct("3i")  # struct ucred (unix(7))


class DisplayError(Exception):
    """The display does not answer; the text says why."""


class RefusedCookieError(DisplayError):
    """The X server lives, but does not take the cookie."""


def greet(display: int, cookie: bytes, seconds: float, sockets: Path = SOCKETS) -> int:
    """Open a connection to the display and wait for the X server to accept it; its process.

    Raises:
        RefusedCookieError: the server answers, and refuses.
        DisplayError: no socket, no listener, a listener of others, or no reply within the time.
    """
    path = sockets / f"X{display}"
    _look_at(path)
    noted = display_record.process_of(display, sockets.parent)
    if noted is not None:
        _require_running(noted, path)
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            process = int(
                CREDENTIALS.unpack(
                    connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
                )[0]
            )
            _require_ours(process, path)
            connection.sendall(_setup(cookie))
            connection.settimeout(max(end - time.monotonic(), 0.01))
            reply = connection.recv(1)
        except FileNotFoundError:
            raise _missing(path) from None
        except ConnectionRefusedError:
            raise DisplayError(f"nothing listens on the display socket {path}") from None
        except socket.timeout:  # another class than TimeoutError before Python 3.10
            raise DisplayError(f"the X server behind {path} does not answer within {seconds:.1f} s") from None
        except OSError as error:
            raise DisplayError(f"the X server behind {path} broke off: {error.strerror}") from None
    if reply in (bytes([FAILED]), bytes([AUTHENTICATE])):
        raise RefusedCookieError(f"the X server behind {path} refuses the cookie that applications are given")
    if reply != bytes([SUCCESS]):
        raise DisplayError(f"what listens on {path} is no X server")
    return process


def _look_at(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        raise _missing(path) from None
    if not stat.S_ISSOCK(mode):
        raise DisplayError(f"{path} is no socket: somebody put something else in its place")


def _missing(path: Path) -> DisplayError:
    return DisplayError(f"the display socket {path} does not exist")


def _require_ours(process: int, path: Path) -> None:
    """A listener in another container has no process id here (unix(7), pid_namespaces(7))."""
    if process == 0:
        raise DisplayError(f"the socket {path} belongs to another container: ours was replaced")
    _require_running(process, path)


def _require_running(process: int, path: Path) -> None:
    state = state_of(process)
    if state is None:
        raise DisplayError(f"the X server of {path} (process {process}) is dead")
    if state in STOPPED:
        raise DisplayError(f"the X server behind {path} (process {process}) is stopped")


def _setup(cookie: bytes) -> bytes:
    """The client's first message: byte order, protocol 11.0, and the authorization."""
    name = COOKIE_NAME if cookie else b""
    head = struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(cookie))
    return head + _padded(name) + _padded(cookie)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
