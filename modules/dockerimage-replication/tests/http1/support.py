"""Peers that say exactly what a test tells them to, byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dockerimage_replication.http1.client import Client
from dockerimage_replication.http1.connection import Body
from multidict import CIMultiDict
from yarl import URL

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMIT = 64 * 1024 * 1024


@dataclass
class Peer:
    """One connection, seen from the server.

    Attributes:
        number: how many connections there were before it.
        reader: what the client sends.
        writer: what it gets.
    """

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The head of the next request; empty when the client has closed."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def closed(self) -> None:
        """Wait until the client has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """End the connection at once, without the goodbye of TLS."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    """A scripted server.

    Attributes:
        address: `host:port`.
        connections: how many there were.
        ended: set whenever a script has ended.
    """

    address: str = ""
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", scheme: str = "http") -> URL:
        return URL(f"{scheme}://{self.address}{path}")


@asynccontextmanager
async def scripted(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a free port of 127.0.0.1; the script runs once for each connection."""
    server, running = Server(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        server.connections += 1
        try:
            await script(Peer(server.connections - 1, reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()
            server.ended.set()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.address = "{}:{}".format(*listening.sockets[0].getsockname())
    try:
        yield server
    finally:
        listening.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answering(*answers: bytes) -> Script:
    """Give these answers in turn on each connection, then wait for the client to close."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            if not await peer.request():
                return
            await peer.send(answer)
        await peer.closed()

    return script


async def fetch(
    client: Client, url: URL, method: str = "GET", body: Body = None, **headers: str
) -> tuple[int, bytes]:
    """Send a request; status and the whole content of the answer."""
    response = await client.send(method, url, CIMultiDict(headers), body)
    try:
        return response.status, await response.read(LIMIT)
    finally:
        response.release()
