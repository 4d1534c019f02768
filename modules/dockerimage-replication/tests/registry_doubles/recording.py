"""What was asked of a host, request by request, with the bytes of the bodies."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from .exchange import Request


@dataclass
class Record:
    """One request and what became of it.

    Attributes:
        method: HTTP method.
        target: path and query as they were sent.
        headers: the request's headers as they were sent.
        status: status of the reply, 0 while and when there is none.
        sent: bytes of the request's body that arrived here.
        received: bytes of the reply's body that were sent to the client.
        note: what a rule did to it, empty for nothing.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    status: int = 0
    sent: int = 0
    received: int = 0
    note: str = ""

    def header(self, name: str) -> str | None:
        """A header's value, None without it."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Recording:
    """All requests to one host, in the order in which their heads arrived."""

    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bytes = 0
        self._thresholds: list[tuple[int, threading.Event]] = []

    def begin(self, request: Request) -> Record:
        """A record of a request that has just arrived."""
        record = Record(request.method, request.target, tuple(request.headers.items()))
        self.records.append(record)
        return record

    def count(self, record: Record, *, sent: int = 0, received: int = 0) -> None:
        """Bytes that went through."""
        record.sent += sent
        record.received += received
        self._bytes += sent + received
        for threshold, event in self._thresholds:
            if self._bytes >= threshold:
                event.set()

    def when_bytes(self, threshold: int) -> threading.Event:
        """An event that is set once that many bytes of bodies have gone through, both ways together."""
        event = threading.Event()
        self._thresholds.append((threshold, event))
        return event

    def clear(self) -> None:
        """Forget what was so far."""
        self.records.clear()
        self._thresholds.clear()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Bytes of all bodies, both ways."""
        return self._bytes

    def seen(self, method: str = "", part: str = "") -> list[Record]:
        """The records with this method (any if empty) and with `part` in their target."""
        return [seen for seen in self.records if method in ("", seen.method) and part in seen.target]

    def authorizations(self) -> set[str]:
        """The Authorization headers that arrived."""
        return {value for seen in self.records if (value := seen.header("Authorization"))}

    def assert_no_authorization(self) -> None:
        """No request carried credentials."""
        carriers = [f"{seen.method} {seen.target}" for seen in self.records if seen.header("Authorization")]
        assert not carriers, f"requests with an Authorization header: {carriers}"

    def assert_nowhere(self, text: str) -> None:
        """`text` stands in no target and no header, as it is; Basic credentials are encoded."""
        for seen in self.records:
            assert text not in seen.target, f"{seen.method} {seen.target}"
            for name, value in seen.headers:
                assert text not in value, f"{seen.method} {seen.target}: {name}"

    def statistics(self) -> dict[str, object]:
        """Counts as JSON has them."""
        return {
            "requests": len(self.records),
            "methods": dict(Counter(seen.method for seen in self.records)),
            "statuses": dict(Counter(str(seen.status) for seen in self.records)),
            "notes": dict(Counter(seen.note for seen in self.records if seen.note)),
            "sent_bytes": sum(seen.sent for seen in self.records),
            "received_bytes": sum(seen.received for seen in self.records),
        }
