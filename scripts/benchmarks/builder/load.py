"""Many requests at a time, sent with as little work as can be: the client is on the same cores."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from localcloud.errors import LocalCloudError

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Answers:
    """What came back.

    Attributes:
        seconds: from the first request to the last answer.
        bodies: of all answers, none of which was a refusal.
    """

    seconds: float
    bodies: list[bytes]


def send_all(port: int, requests: Sequence[bytes], connections: int) -> Answers:
    """Send whole HTTP requests, the next on a connection as soon as it has its answer.

    Raises:
        LocalCloudError: one was refused.
    """
    return asyncio.run(_send_all(port, requests, connections))


def post(path: str, token: str, body: bytes) -> bytes:
    """A whole HTTP request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class _Work:
    waiting: deque[bytes]
    left: int
    done: "asyncio.Future[None]"
    bodies: list[bytes] = field(default_factory=list)

    def answered(self, body: bytes) -> None:
        self.bodies.append(body)
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def failed(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(LocalCloudError(f"under load: {reason}"))


class _Connection(asyncio.Protocol):
    """Sends one request after the other."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of TCP
        self._transport = transport

    def begin(self) -> None:
        if self._work.waiting:
            self._transport.write(self._work.waiting.popleft())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END)
        if not end or len(body) < _length(head):
            return
        self._received = b""
        if not head.startswith(b"HTTP/1.1 200 "):
            self._work.failed(f"{head.splitlines()[0].decode()}: {body[:200].decode()}")
            return
        self._work.answered(body)
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work.left:
            self._work.failed(f"the service closed a connection ({exc})")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(_LENGTH):
            return int(line[len(_LENGTH) :])
    return 0


async def _send_all(port: int, requests: Sequence[bytes], connections: int) -> Answers:
    loop = asyncio.get_running_loop()
    work = _Work(deque(requests), len(requests), loop.create_future())
    opened = [
        await loop.create_connection(lambda: _Connection(work), "127.0.0.1", port) for _ in range(connections)
    ]
    try:
        begun = time.perf_counter()
        for _, connection in opened:
            connection.begin()
        await work.done
        return Answers(time.perf_counter() - begun, work.bodies)
    finally:
        for transport, _ in opened:
            transport.close()
