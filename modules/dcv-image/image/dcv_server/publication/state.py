"""The publisher's state file, which `check_healthy.sh --ready` reads.

Times are of CLOCK_MONOTONIC, which every process of the machine shares and no change of the clock moves.
Imports are few, because a probe pays for them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

STATE_FILE = Path("/run/dcv-image/publication.json")
# Seconds after which the publisher counts as dead and a target as no longer right. A target is verified
# every 2 s and a request may take 3 s; each fault has to be found within 10 s.
STALE_SECONDS = 8.0


class TargetState(NamedTuple):
    """One target.

    Attributes:
        name: what a message calls it.
        verified_at: monotonic time at which it last had the values that are wanted now, if ever.
        problem: why it could not be verified the last time.
    """

    name: str
    verified_at: float | None
    problem: str | None


class PublisherState(NamedTuple):
    """What the publisher knew at a time.

    Attributes:
        written_at: monotonic time.
        display: what is to be published, such as ":2"; None as long as there is no session.
    """

    written_at: float
    display: str | None
    targets: list[TargetState]


def write(state: PublisherState, path: Path = STATE_FILE) -> None:
    """Replace the file as a whole, so that a reader never sees half of one."""
    content: dict[str, Any] = state._asdict()
    content["targets"] = [target._asdict() for target in state.targets]
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(path)


def read(path: Path = STATE_FILE) -> PublisherState | None:
    """The state; None when no publisher has written one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        targets = [TargetState(**target) for target in content["targets"]]
        return PublisherState(float(content["written_at"]), content["display"], targets)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def problem(display: str, path: Path = STATE_FILE) -> str | None:
    """Why the publication of this display is not current; None when it is.

    Args:
        display: the session's display now, such as ":2".
        path: where the publisher writes its state.
    """
    state = read(path)
    now = time.monotonic()
    if state is None:
        return "the display is not published: the publisher has not started"
    if not _is_fresh(state.written_at, now):
        return (
            f"the display is not published: the publisher is dead or stopped, or {path.parent} is full "
            f"(its state is {now - state.written_at:.0f} s old)"
        )
    if state.display != display:
        return f"the display is not published: it is {display}, the publisher knows {state.display}"
    late = [target for target in state.targets if not _is_fresh(target.verified_at, now)]
    if late:
        return "the display is not published: " + "; ".join(_late(target) for target in late)
    return None


def _is_fresh(at: float | None, now: float) -> bool:
    # A time in the future was written before the machine's last start.
    return at is not None and at <= now <= at + STALE_SECONDS


def _late(target: TargetState) -> str:
    return f"{target.name}: {target.problem or 'no answer yet'}"
