"""One connection to a server, which carries one exchange at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

from .errors import ConnectionBroken, Stalled
from .exchange import Exchange

_PAUSE_ABOVE = 1024 * 1024  # bytes that wait to be taken, above which the peer has to wait
_RESUME_BELOW = 256 * 1024
_ONE_PACKET = 256 * 1024  # bytes of a body that are sent together with the head
_WRITE_BUFFER = 1024 * 1024  # bytes that wait to be sent, above which the sender has to wait

Body = bytes | AsyncIterator[bytes] | None


class Connection(asyncio.Protocol):
    """A connection; `exchange` sends a request and gives the answer as soon as its head is there.

    Attributes:
        transport: what it is built on, once it is made.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._exchange: Exchange | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = False
        self._lost = False

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return not self._lost and not self.transport.is_closing()

    async def exchange(
        self, method: str, head: bytes, body: Body, *, idle_timeout: float, patience: float
    ) -> Exchange:
        """Send a request and wait for the head of its answer.

        Args:
            method: of the request.
            head: request line and headers, with the empty line.
            body: content; a stream's own errors are raised unchanged.
            idle_timeout: seconds without progress after which sending has stalled.
            patience: seconds between the end of the request and the head of the answer.

        Raises:
            HttpError: there will be no answer; the connection cannot be used any more.
        """
        exchange = self._exchange = Exchange(method)
        if self._lost:
            raise ConnectionBroken(answered=False)
        try:
            if isinstance(body, bytes):
                for part in (head + body,) if len(body) <= _ONE_PACKET else (head, body):
                    self.transport.write(part)
            else:
                self.transport.write(head)
                if body is not None:
                    await self._send_unless_answered(body, exchange, idle_timeout)
            await self._answer(exchange, patience)
        except BaseException:
            self.abort()
            raise
        return exchange

    async def content(self, exchange: Exchange, idle_timeout: float) -> AsyncGenerator[bytes, None]:
        """The content of an answer in chunks as they arrive.

        Raises:
            HttpError: the connection broke or stalled; waiting for `idle_timeout` seconds has to
                bring 16 KiB at least, or the end.
        """
        watch = _Watch(idle_timeout)
        while True:
            while exchange.parts:
                chunk = exchange.parts.popleft()
                exchange.buffered -= len(chunk)
                if self._paused and exchange.buffered < _RESUME_BELOW:
                    self._paused = False
                    if self.usable:
                        self.transport.resume_reading()
                yield chunk
            if exchange.complete:
                return
            if exchange.error:
                raise exchange.error
            await watch.wait(exchange)

    def finish(self, exchange: Exchange) -> bool:
        """End an exchange; whether the connection can be used for another one."""
        self._exchange = None
        idle = self._writable.is_set() and not self._paused
        reusable = exchange.complete and exchange.keeps_alive and self.usable and idle
        if not reusable:
            self.abort()
        return reusable

    def hand_over(self, exchange: Exchange) -> bool:
        """End an exchange after which the connection speaks another protocol; whether it can.

        What CONNECT's answer says about keeping the connection is not about the tunnel: many proxies
        still answer with HTTP/1.0.
        """
        self._exchange = None
        free = exchange.complete and not exchange.surplus and self.usable
        if not free:
            self.abort()
        return free

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there; with TLS in a tunnel, it is there for the second time."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self._exchange is None:
            self.abort()  # an answer that nobody asked for
            return
        self._exchange.feed(data)
        if self._exchange.buffered > _PAUSE_ABOVE and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._lost = True
        self._writable.set()
        if self._exchange:
            broken = ConnectionBroken(answered=self._exchange.begun)
            if error is None:
                self._exchange.end(broken)
            elif not self._exchange.complete:
                self._exchange.fail(broken)

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    async def _send_unless_answered(
        self, body: AsyncIterator[bytes], exchange: Exchange, idle_timeout: float
    ) -> None:
        """Send a stream; an answer that comes before its end ends it, for it is a refusal."""
        sending = asyncio.ensure_future(self._send(body, exchange, idle_timeout))
        try:
            either: set[asyncio.Future[Any]] = {sending, exchange.head}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            else:
                exchange.keeps_alive = False
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})

    async def _send(self, body: AsyncIterator[bytes], exchange: Exchange, idle_timeout: float) -> None:
        async for chunk in body:
            self.transport.write(chunk)
            if not self._writable.is_set():
                await self._drained(exchange, idle_timeout)

    async def _drained(self, exchange: Exchange, idle_timeout: float) -> None:
        waiting = self.transport.get_write_buffer_size()
        while not self._writable.is_set() and not exchange.head.done():
            try:
                async with asyncio.timeout(idle_timeout):
                    await self._writable.wait()
            except TimeoutError:
                pass
            left = self.transport.get_write_buffer_size()
            if not self._writable.is_set() and not exchange.head.done() and left >= waiting:
                raise Stalled("the peer does not read what it is sent")
            waiting = left

    async def _answer(self, exchange: Exchange, patience: float) -> None:
        """Wait for the head; time in which the peer still takes the request does not count."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look(waiting: int) -> None:
            nonlocal timer
            left = self.transport.get_write_buffer_size()
            if left >= waiting:
                exchange.fail(Stalled("the peer does not answer"))
            else:
                timer = loop.call_later(patience, look, left)

        timer = loop.call_later(patience, look, self.transport.get_write_buffer_size())
        try:
            await exchange.head
        finally:
            timer.cancel()


class _Watch:
    """Tells a slow answer from one that trickles so that it never ends."""

    _LEAST = 16 * 1024  # bytes that `idle_timeout` seconds of waiting have to bring

    def __init__(self, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._waited = 0.0
        self._mark = 0

    async def wait(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        if self._waited == 0:
            self._mark = exchange.arrived
        timer = loop.call_later(
            self._idle_timeout - self._waited, exchange.fail, Stalled("the answer trickles or has stopped")
        )
        try:
            await exchange.more()
        finally:
            timer.cancel()
        enough = exchange.arrived - self._mark >= self._LEAST
        self._waited = 0.0 if enough else self._waited + loop.time() - begin
