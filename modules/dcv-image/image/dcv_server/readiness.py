"""What `--ready` adds: can the session be found from outside, and can this container go on working?

None of it fails a probe without `--ready`: starting the container again would close the session, and cure
neither a full volume, nor a wrong clock, nor AWS.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from .health import UnhealthyError
from .publication import state
from .publication.settings import PublicationSettings
from .session import Session
from .xdisplay import SOCKETS, TEMPORARY

# Volumes that the start and the publication write to. A full home is the user's to clear, in the session.
VOLUMES = (Path("/run/dcv-image"), TEMPORARY, SOCKETS)
LEAST_FREE = 64 * 1024  # bytes
# How far the DCV server's last check of its licence may lie in the future: clocks differ by seconds.
CLOCK_SLACK = 300.0


def check_ready(session: Session, environment: Mapping[str, str]) -> None:
    """Look at volumes, clock and publication.

    Raises:
        UnhealthyError: with the first reason.
    """
    for volume in VOLUMES:
        _require_space(volume)
    _require_clock(session, time.time())
    if PublicationSettings.from_environment(environment).enabled:
        problem = state.problem(f":{session.display}")
        if problem:
            raise UnhealthyError(problem)


def _require_space(volume: Path) -> None:
    found = os.statvfs(volume)
    if found.f_bavail * found.f_frsize < LEAST_FREE:
        raise UnhealthyError(f"no space is left on {volume}")
    if found.f_files and not found.f_favail:
        raise UnhealthyError(f"no file can be made any more on {volume}: its inodes are used up")


def _require_clock(session: Session, now: float) -> None:
    """The server's own times tell when the clock was set wrong; AWS refuses what is signed then."""
    for licence in session.licences:
        checked, expires = _seconds(licence.checked), _seconds(licence.expires)
        if checked is not None and checked > now + CLOCK_SLACK:
            raise UnhealthyError(
                f"the clock jumped back: the licence was checked at {licence.checked}, which is in the future"
            )
        if expires is not None and expires < now:
            raise UnhealthyError(
                f"the licence of {licence.product} has passed its expiration {licence.expires} although the "
                "DCV server calls it valid: the clock jumped ahead, or the licence cannot be renewed"
            )


def _seconds(stamp: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 time in UTC; None when it is of another form."""
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            found = datetime.strptime(stamp, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
        return found.timestamp()
    return None
