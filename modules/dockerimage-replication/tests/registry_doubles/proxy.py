"""A reverse proxy in front of a real registry; its rules decide about every request."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Sequence
from types import TracebackType

from .exchange import Body, CutOff, Forward, Reply, Request, ResetConnection, Rule
from .http1 import BUFFER, chunk, read_request, reply_head, reply_is_chunked
from .recording import Record, Recording
from .upstream import Upstream

CONTROL_PATH = "/_doubles"  # GET: the recording's statistics as JSON; DELETE: begin anew

_LINGER = 2.0  # seconds for which what a client still sends is thrown away after an early reply


class Proxy:
    """A proxy on a free port of 127.0.0.1, on a thread of its own; a context manager.

    Bodies are streamed both ways, each side as fast as the other takes them. Host and Location headers
    stay as they are, so that uploads come back to the proxy.

    Args:
        upstream: `host:port` of the registry, reached by http.
        rules: what happens to a request, the outermost first.
        port: where to listen; 0 for a free one.

    Attributes:
        address: `host:port` of the proxy while it runs.
        recording: what it has seen.
    """

    def __init__(self, upstream: str, rules: Sequence[Rule] = (), *, port: int = 0) -> None:
        self.address = ""
        self.recording = Recording()
        self._upstream = upstream
        self._rules = tuple(rules)
        self._port = port
        self._started = threading.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._closed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._started.wait(10), "the proxy did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def wait_until_idle(self) -> None:
        """Wait until no client is connected: what a killed one had sent before is recorded then."""
        with self._closed:
            assert self._closed.wait_for(lambda: not self._connections, 30), "a client stays connected"

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await self._serve(reader, writer)
            except asyncio.CancelledError:
                pass  # the proxy ends
            finally:
                writer.close()
                with self._closed:
                    self._connections.discard(task)
                    self._closed.notify_all()

        server = await asyncio.start_server(connected, "127.0.0.1", self._port, limit=BUFFER)
        self.address = "{}:{}".format(*server.sockets[0].getsockname())
        self._started.set()
        await self._stopping.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = Upstream(self._upstream)
        handle = _chain(self._rules, upstream.send)
        try:
            while (request := await read_request(reader)) is not None:
                if request.path == CONTROL_PATH:
                    await self._control(writer, request)
                elif not await self._exchange(reader, writer, request, handle):
                    return
        except ResetConnection:
            _reset(writer)
        except (CutOff, ConnectionError):
            pass  # one of the sides is gone, or has to believe so
        finally:
            upstream.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: Request,
        handle: Forward,
    ) -> bool:
        """One request and its reply; whether the connection can take another."""
        record = self.recording.begin(request)
        whole = asyncio.Event()
        if _has_no_body(request):
            whole.set()
        reply = await handle(request.with_body(self._sent(request.body, record, whole)))
        record.status = reply.status
        closes = not whole.is_set()
        received = self._received(reply.body, record)
        if reply.seconds_per_byte:
            await _trickle(reader, writer, request, reply.with_body(received))
            return False
        await _answer(writer, request, reply.with_body(received), close=closes)
        if closes:
            await self._discard(reader, record)
        return not closes

    async def _sent(self, body: Body, record: Record, whole: asyncio.Event) -> Body:
        # Its end is known before the registry can have answered, unless it comes in chunks.
        length = int(record.header("Content-Length") or -1)
        async for content in body:
            self.recording.count(record, sent=len(content))
            if record.sent == length:
                whole.set()
            yield content
        whole.set()

    async def _received(self, body: Body, record: Record) -> Body:
        async for content in body:
            self.recording.count(record, received=len(content))
            yield content

    async def _discard(self, reader: asyncio.StreamReader, record: Record) -> None:
        """Read until the client closes: a socket closed with data unread destroys the reply (TCP RST)."""
        try:
            async with asyncio.timeout(_LINGER):
                while content := await reader.read(BUFFER):
                    self.recording.count(record, sent=len(content))
        except (TimeoutError, ConnectionError):
            pass

    async def _control(self, writer: asyncio.StreamWriter, request: Request) -> None:
        statistics = json.dumps(self.recording.statistics()).encode()
        if request.method == "DELETE":
            self.recording.clear()
        reply = Reply.of(200, {"Content-Type": "application/json"}, statistics)
        await _answer(writer, request, reply, close=False)


def _chain(rules: Sequence[Rule], last: Forward) -> Forward:
    forward = last
    for rule in reversed(rules):
        forward = _bound(rule, forward)
    return forward


def _bound(rule: Rule, forward: Forward) -> Forward:
    async def handle(request: Request) -> Reply:
        return await rule(request, forward)

    return handle


def _has_no_body(request: Request) -> bool:
    return "Transfer-Encoding" not in request.headers and request.headers.get("Content-Length", "0") == "0"


async def _answer(writer: asyncio.StreamWriter, request: Request, reply: Reply, *, close: bool) -> None:
    writer.write(reply_head(reply, request.method, close=close))
    chunked = reply_is_chunked(reply, request.method)
    async for content in reply.body:
        if request.method != "HEAD":
            writer.write(chunk(content) if chunked else content)
            await writer.drain()
    if chunked:
        writer.write(chunk(b""))
    await writer.drain()


async def _trickle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, reply: Reply
) -> None:
    """Send head and body byte by byte, until the client has had enough."""
    ended = asyncio.create_task(_end(reader))
    try:
        async for content in _with_head(request, reply):
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.wait([ended], timeout=reply.seconds_per_byte)
                if ended.done():
                    return
    finally:
        ended.cancel()


async def _with_head(request: Request, reply: Reply) -> Body:
    yield reply_head(reply, request.method, close=True)
    chunked = reply_is_chunked(reply, request.method)
    async for content in reply.body:
        if request.method != "HEAD":
            yield chunk(content) if chunked else content


async def _end(reader: asyncio.StreamReader) -> None:
    """Wait until the client closes."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(BUFFER):
            pass


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
