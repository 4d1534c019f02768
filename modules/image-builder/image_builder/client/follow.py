"""Reads a job's log as the service sends it: server-sent events."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LogEvent:
    """One event.

    Attributes:
        sequence: its number; None for the last one.
        kind: `log`, `status`, or `end`.
        text: what was logged, or the status.
        job: the job's metadata, with `end`.
    """

    sequence: int | None
    kind: str
    text: str
    job: dict[str, Any] | None = None


def read_events(lines: Iterable[str]) -> Iterator[LogEvent]:
    """The events in a stream; one that is not complete is left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield _event(fields)
            fields = {}


def _event(fields: dict[str, str]) -> LogEvent:
    kind, data = fields.get("event", "message"), json.loads(fields.get("data", "{}"))
    if kind == "end":
        return LogEvent(None, kind, data["status"], data)
    return LogEvent(int(fields["id"]), kind, data["text"])
