"""Lengths of time as people write them in settings: `1s`, `15m`, `1h30m`, `90d`."""

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_MAX = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` says.

    Raises:
        ValueError: it is none, or is longer than ten years.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"must be a length of time such as 30s, 15m, 1h30m or 90d, not {text!r}")
    total = timedelta()
    for number, unit in parts:
        total = _added(total, float(number), unit)
    return total


def _added(total: timedelta, number: float, unit: str) -> timedelta:
    try:
        longer = total + number * _UNITS[unit]
    except OverflowError:
        longer = _MAX * 2
    if longer > _MAX:
        raise ValueError("must not be longer than ten years (3650d)")
    return longer
