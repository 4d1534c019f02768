"""The relay that makes a registry far away."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

import pytest
from benchmarks.replication.latency import ONE_WAY, relay

TIMER_GRAIN = 0.0015  # seconds by which one direction may be early: event loops count in milliseconds


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, and end when the other side does."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A relay in front of a server that echoes."""
    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        await relay(0, port_of(server)) as relaying,
    ):
        yield port_of(relaying)


async def through(port: int, content: bytes) -> bytes:
    """What comes back through the relay when `content` and an end are sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(content)
        await writer.drain()
        writer.write_eof()

    _, received = await asyncio.gather(send(), reader.read())
    writer.close()
    return received


async def test_nothing_arrives_before_the_round_trip_is_over(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    for _ in range(5):
        begun = loop.time()
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        assert loop.time() - begun >= 2 * (ONE_WAY - TIMER_GRAIN)
    writer.close()


async def test_bytes_and_their_end_come_through_unchanged_on_many_connections(port: int) -> None:
    contents = [noise(number, number * 1000) for number in range(100)]
    assert await asyncio.gather(*(through(port, content) for content in contents)) == contents


async def test_more_than_any_buffer_holds_comes_through_unchanged(port: int) -> None:
    content = noise(1, 32 * 2**20)
    received = await through(port, content)
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()


async def test_a_connection_ends_when_no_registry_is_there() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        closed = port_of(server)
    async with await relay(0, closed) as relaying:
        assert await through(port_of(relaying), b"") == b""
