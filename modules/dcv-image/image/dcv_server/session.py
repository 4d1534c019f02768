"""What the DCV server says about a session: `dcv describe-session ID --json`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "dcv"
SHOWN = 200  # characters of an unexpected answer that a message quotes
# The documented answer has no status of the session; versions that give one say CREATED for a usable one.
USABLE = ("", "CREATED")


class SessionError(Exception):
    """There is no session that can be used; the text says why."""


class LateError(SessionError):
    """The DCV server's client gave no answer in time."""


@dataclass(frozen=True)
class Licence:
    """What the server says of one of its licences; texts as given, empty where it says nothing."""

    product: str
    status: str
    checked: str
    expires: str


@dataclass(frozen=True)
class Session:
    """A session that the DCV server calls usable."""

    display: int
    authority: Path | None
    licences: tuple[Licence, ...] = ()


def describe(session_id: str, seconds: float) -> Session:
    """Ask the DCV server about the session.

    Raises:
        SessionError: there is no server, no such session, or no usable answer within the time.
    """
    status, output = run(["describe-session", session_id, "--json"], seconds)
    if status != 0:
        raise SessionError(_why_not(session_id, status, output, seconds))
    answer = _document(output)
    if answer.get("id") != session_id:
        raise SessionError(f"`dcv describe-session {session_id}` described {answer.get('id')!r} instead")
    state = str(answer.get("status") or "")
    if state.upper() not in USABLE:
        raise SessionError(f"the session {session_id} is not usable: its status is {state}")
    authority = answer.get("x11-authority")
    return Session(
        _display(answer.get("x11-display")),
        Path(str(authority)) if authority else None,
        tuple(_licences(answer.get("licenses"))),
    )


def installed() -> bool:
    """Whether there is a DCV server to ask."""
    return any(os.access(Path(folder) / PROGRAM, os.X_OK) for folder in os.get_exec_path())


def run(arguments: Sequence[str], seconds: float) -> tuple[int, str]:
    """Exit status and output of the DCV server's client.

    Raises:
        SessionError: it cannot be run.
        LateError: it did not end within the time.
    """
    try:
        # A session of its own, so that a client that hangs goes with all that it started.
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise SessionError(f"`dcv` cannot be run: {error.strerror}") from None
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LateError(f"`dcv {arguments[0]}` gave no answer within {seconds:.1f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, output.decode("utf-8", "replace")


def _why_not(session_id: str, status: int, output: str, seconds: float) -> str:
    """Tell a closed session from a client that fails: only a client that works lists the others."""
    try:
        listed, sessions = run(["list-sessions", "--json"], seconds)
        ids = [entry.get("id") for entry in json.loads(sessions)] if listed == 0 else None
    except (LateError, ValueError, AttributeError, TypeError):
        ids = None
    if ids is not None and session_id not in ids:
        return f"the session {session_id} is closed; the DCV server itself answers"
    return f"`dcv describe-session` failed with status {status}: {_quoted(output)}"


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
    found = re.fullmatch(r":(\d{1,5})(?:\.\d+)?", str(name))
    if not found:
        raise SessionError(f"the session's display is no local one: {_quoted(str(name))}")
    return int(found.group(1))


def _licences(listed: object) -> list[Licence]:
    """Licences as far as the answer is of the documented form; a probe does not fail over the rest."""
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return [
        Licence(
            *(
                str(entry.get(key) or "")
                for key in ("product", "status", "check-timestamp", "expiration-date")
            )
        )
        for entry in entries
    ]


def _quoted(text: str) -> str:
    return repr(text.strip()[:SHOWN])
