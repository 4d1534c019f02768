"""Is the DCV session valid, and does its display answer?

Nothing but the session's own display is looked at: other sessions may share the socket folder. What is
known for certain (a process that is dead or stopped, a socket that is gone) fails at once; mere lateness
only after seconds, since a starved machine is no broken session.
"""

from __future__ import annotations

import time
from pathlib import Path

from .process_table import PROC, STOPPED, listens, states_of
from .session import Licence, Session, SessionError, describe, installed
from .xauthority import cookie_of, path_of
from .xdisplay import SOCKETS, DisplayError, greet

SESSION_ID = "default-session"
SERVER = "dcvserver"
LAUNCHER = "dcvsessionlauncher"
PORT = 8443
CLIENT_SECONDS = 3.0  # for the answer of `dcv`
DISPLAY_SECONDS = 1.0  # for the X server's reply, however long `dcv` took
PRODUCT = "dcv"  # the licence without which nobody can connect; that of dcv-gl only costs acceleration
UNLICENSED = ("EXPIRED", "NOT_LICENSED", "UNLICENSED", "INVALID", "DENIED")


class UnhealthyError(Exception):
    """The session cannot be used; the text says why."""


def check(session_id: str = SESSION_ID, sockets: Path = SOCKETS, proc: Path = PROC) -> Session:
    """The session that was found healthy.

    Raises:
        UnhealthyError: with one distinct reason; always within four seconds.
    """
    try:
        _require_server(proc)
        begin = time.monotonic()
        session = describe(session_id, CLIENT_SECONDS)
        _require_licence(session.licences)
        left = max(CLIENT_SECONDS - (time.monotonic() - begin), DISPLAY_SECONDS)
        greet(session.display, _published_cookie(session, sockets), left, sockets)
        if not listens(PORT, proc):
            raise UnhealthyError(f"the DCV server does not listen on TCP port {PORT}")
    except (SessionError, DisplayError) as error:
        raise UnhealthyError(str(error)) from error
    return session


def _require_server(proc: Path) -> None:
    if not installed():
        raise UnhealthyError("the DCV server is not installed in this image")
    for name in (SERVER, LAUNCHER):
        states = states_of(name, proc)
        if not states:
            raise UnhealthyError(f"the DCV server does not run: there is no process {name}")
        if any(state in STOPPED for state in states):
            raise UnhealthyError(f"the DCV server is stopped (process {name})")


def _require_licence(licences: tuple[Licence, ...]) -> None:
    for licence in licences:
        if licence.product == PRODUCT and licence.status.upper().replace("-", "_") in UNLICENSED:
            raise UnhealthyError(
                f"the DCV server has no valid licence: status {licence.status}, expiration "
                f"{licence.expires or 'unknown'}; on EC2 the pod's role has to read s3://dcv-license.<region>"
            )


def _published_cookie(session: Session, sockets: Path) -> bytes:
    path = path_of(session.display, sockets)
    try:
        cookie = cookie_of(path.read_bytes(), session.display)
    except FileNotFoundError:
        raise UnhealthyError(f"the X authority {path} does not exist, so no application can draw") from None
    except OSError as error:
        raise UnhealthyError(f"the X authority {path} cannot be read: {error.strerror}") from None
    if not cookie:
        raise UnhealthyError(f"the X authority {path} holds no cookie of the session's display")
    return cookie
