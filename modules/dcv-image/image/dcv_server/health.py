"""Is the DCV session valid, and does its display answer?

Nothing but the session's own display is looked at: other sessions may share the socket folder.
"""

from __future__ import annotations

import time
from pathlib import Path

from .session import SessionError, describe
from .xdisplay import SOCKETS, DisplayError, greet, read_cookie

SESSION_ID = "default-session"
# Seconds for all steps together: a Kubernetes probe has one second by default, and Python's start is in it.
BUDGET = 0.8


class UnhealthyError(Exception):
    """The session cannot be used; the text says why."""


def check(session_id: str = SESSION_ID, sockets: Path = SOCKETS, budget: float = BUDGET) -> str:
    """What was found healthy.

    Raises:
        UnhealthyError: with one distinct reason; always within the budget.
    """
    end = time.monotonic() + budget
    try:
        session = describe(session_id, budget)
        cookie = read_cookie(session.authority, session.display) if session.authority else b""
        greet(session.display, cookie, sockets, max(end - time.monotonic(), 0.01))
    except (SessionError, DisplayError) as error:
        raise UnhealthyError(str(error)) from error
    return f"session {session_id} is valid and its display :{session.display} answers"
