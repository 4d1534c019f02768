"""The time that an image bears: that of its base, so that a build's own clock is not in its digest."""

from datetime import UTC, datetime

from .bases import Base


def image_time(base: Base) -> int:
    """Seconds since 1970 at which the base was made; 0 when it does not say."""
    text = base.created or ""
    try:
        # Fractions of any length and `Z` are more than Python's parser takes.
        head, zone = text[:19], text[19:].lstrip(".0123456789") or "Z"
        moment = datetime.fromisoformat(head + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return 0
    return max(0, int(moment.timestamp()))


def as_text(time: int) -> str:
    """Seconds since 1970 as configurations have them (RFC 3339)."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
