"""What the DCV server says about a session: `dcv describe-session ID --json`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "dcv"
SHOWN = 200  # characters of an unexpected answer that a message quotes
# The documented answer has no status of the session; versions that give one say CREATED for a usable one.
USABLE = ("", "CREATED")


class SessionError(Exception):
    """There is no session that can be used; the text says why."""


@dataclass(frozen=True)
class Session:
    """A session that the DCV server calls usable."""

    display: int
    authority: Path | None


def describe(session_id: str, seconds: float) -> Session:
    """Ask the DCV server about the session.

    Raises:
        SessionError: there is no server, no such session, or no usable answer within the time.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise SessionError("the DCV server is not installed in this image")
    answer = _document(_output([program, "describe-session", session_id, "--json"], seconds))
    if answer.get("id") != session_id:
        raise SessionError(f"`dcv describe-session {session_id}` described {answer.get('id')!r} instead")
    status = str(answer.get("status") or "")
    if status.upper() not in USABLE:
        raise SessionError(f"the session {session_id} is not usable: its status is {status}")
    authority = answer.get("x11-authority")
    return Session(_display(answer.get("x11-display")), Path(str(authority)) if authority else None)


def _output(command: list[str], seconds: float) -> str:
    # A session of its own, so that a client that hangs goes with all that it started.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise SessionError(f"`dcv describe-session` gave no answer within {seconds:.1f} s") from None
    if process.returncode != 0:
        raise SessionError(
            f"`dcv describe-session` failed with status {process.returncode}; the session is closed or the "
            f"DCV server does not run: {_quoted(output)}"
        )
    return str(output)


def _document(output: str) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SessionError(f"`dcv describe-session` answered no JSON object: {_quoted(output)}")
    return answer


def _display(name: object) -> int:
    if not name:
        raise SessionError("the session has no display yet")
    found = re.fullmatch(r":(\d+)(?:\.\d+)?", str(name))
    if not found:
        raise SessionError(f"the session's display is no local one: {_quoted(str(name))}")
    return int(found.group(1))


def _quoted(text: str) -> str:
    return repr(text.strip()[:SHOWN])
