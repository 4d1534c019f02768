"""Answers: where each one ends, what it leaves of its connection, and what is no answer at all."""

import asyncio
import ssl
import tracemalloc
from pathlib import Path

import pytest
from dockerimage_replication.http1.client import Client
from dockerimage_replication.http1.errors import ConnectionBroken, HttpError, ProtocolViolation, Stalled
from multidict import CIMultiDict
from registry_doubles.real import Certificate

from .support import OK, Peer, answering, fetch, scripted

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"
SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"


@pytest.mark.parametrize(
    ("method", "answer", "content"),
    [
        ("GET", HEAD + b"Content-Length: 5\r\n\r\nhello", b"hello"),
        ("GET", HEAD + b"Content-Length: 0\r\n\r\n", b""),
        ("GET", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (
            "GET",
            HEAD + b"transfer-encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n",
            b"hello",
        ),
        ("HEAD", HEAD + b"Content-Length: 5000\r\n\r\n", b""),
        ("HEAD", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 99\r\n\r\nHTTP/1.1 102 x\r\n\r\n" + OK, b"ok"),
        ("GET", b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", b"no"),
    ],
)
@pytest.mark.parametrize("in_bytes", [False, True])
async def test_an_answer_ends_where_it_says_and_the_connection_is_used_again(
    client: Client, method: str, answer: bytes, content: bytes, in_bytes: bool
) -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.send(*([bytes([byte]) for byte in answer] if in_bytes else [answer]))

    async with scripted(script) as server:
        for _ in range(3):
            assert (await fetch(client, server.url(), method))[1] == content
        assert server.connections == 1


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.0 200 OK\r\n", HEAD + b"Connection: close\r\n"])
async def test_an_answer_without_a_length_ends_with_its_connection(client: Client, head: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head + b"\r\n", b"as long as ", b"it takes")

    async with scripted(script) as server:
        for count in (1, 2):
            assert await fetch(client, server.url()) == (200, b"as long as it takes")
            assert server.connections == count


async def test_an_answer_without_a_length_that_is_reset_has_broken(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + b"\r\n", b"half")
        await going.wait()
        peer.reset()

    going = asyncio.Event()
    async with scripted(script) as server:
        response = await client.send("GET", server.url(), CIMultiDict())
        chunks = response.chunks()
        assert await anext(chunks) == b"half"
        # What the client has sent and nobody has read makes of a close a reset.
        response._connection.transport.write(b"unread")
        going.set()
        with pytest.raises(ConnectionBroken):
            await anext(chunks)
        response.release()


@pytest.mark.parametrize("ends_well", [True, False])
async def test_an_answer_over_tls_without_a_length(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ends_well: bool
) -> None:
    """Many servers end it without the goodbye of TLS; what it was is for digests to say."""
    certificate = Certificate.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.chain, certificate.key)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + b"\r\n", b"all of it")
        if not ends_well:
            peer.reset()

    client = Client(idle_timeout=30.0, user_agent="test")
    async with scripted(script, tls=tls) as server:
        assert await fetch(client, server.url(scheme="https")) == (200, b"all of it")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 O",
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
async def test_an_answer_that_breaks_off_is_an_error(client: Client, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async with scripted(script) as server:
        with pytest.raises(ConnectionBroken) as broken:
            await fetch(client, server.url())
        assert broken.value.answered == bool(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"<html></html>\r\n\r\n",
        b"HTTP/1.1 99999 x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: -5\r\n\r\nhello",
        HEAD + b"Content-Length: +5\r\n\r\nhello",
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nno number\r\nhello\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n",
        HEAD + b" folded: x\r\n\r\n",
        HEAD + b"a\0b: x\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_refused_and_its_connection_closed(client: Client, answer: bytes) -> None:
    async with scripted(answering(answer)) as server:
        with pytest.raises(ProtocolViolation):
            await fetch(client, server.url())
        await server.ended.wait()


@pytest.mark.parametrize(
    "endless",
    [
        (HEAD, b"X-Header: " + b"x" * 1000 + b"\r\n"),
        (HEAD + b"X-Header: ", b"x" * 1000),
        (HEAD, b"x" * 1000),
        (b"HTTP/1.1 200 ", b"x" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: " + b"x" * 1000 + b"\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x" * 1000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 1000),
    ],
    ids=["headers", "value", "name", "reason", "interim", "trailers", "trailer", "extension"],
)
async def test_what_has_no_end_is_not_collected(client: Client, endless: tuple[bytes, bytes]) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(endless[0])
        while True:
            await peer.send(endless[1] * 50)

    async with scripted(script) as server:
        with pytest.raises(ProtocolViolation):
            await fetch(client, server.url())


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("extra", [SMUGGLED, b"garbage", b"x" * MIB])
@pytest.mark.parametrize("apart", [False, True])
async def test_bytes_beyond_an_answer_are_nobodys(
    client: Client, answer: bytes, extra: bytes, apart: bool
) -> None:
    """They are no part of this answer, and none of the next one."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*([answer, extra] if apart else [answer + extra]))
        await peer.closed()

    async with scripted(script) as server:
        assert await fetch(client, server.url()) == (200, b"hello")
        await server.ended.wait()
        assert await fetch(client, server.url()) == (200, b"hello")
        assert server.connections == 2


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", HEAD + b"Content-Length: 5\r\n\r\nhello"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
        ("GET", HEAD + b"Content-Length: 0\r\n\r\n" + SMUGGLED),
        ("HEAD", HEAD + b"Content-Length: 0\r\n\r\n" + SMUGGLED),
    ],
)
async def test_content_where_none_may_be_ends_the_connection(
    client: Client, method: str, answer: bytes
) -> None:
    async with scripted(answering(answer)) as server:
        assert (await fetch(client, server.url(), method))[1] == b""
        await server.ended.wait()


async def test_an_answer_that_never_begins_has_stalled(impatient: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with scripted(script) as server:
        with pytest.raises(Stalled):
            await fetch(impatient, server.url())
        await server.ended.wait()


@pytest.mark.parametrize("begin", [b"", HEAD + b"X: ", HEAD + b"Content-Length: 99999\r\n\r\n"])
async def test_an_answer_that_trickles_has_stalled(impatient: Client, begin: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begin)
        while not peer.reader.at_eof():
            await peer.send(b"H")
            await asyncio.sleep(0.005)

    async with scripted(script) as server:
        with pytest.raises((Stalled, ProtocolViolation)) as failed:
            await fetch(impatient, server.url())
        assert not begin or isinstance(failed.value, Stalled)


async def test_a_slow_answer_that_gets_on_has_not_stalled(patient: Client) -> None:
    """Each pause is shorter than the patience; all of them together are much longer."""
    part = b"x" * 32 * 1024

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % (20 * len(part)))
        for _ in range(20):
            await peer.send(part)
            await asyncio.sleep(0.15)

    async with scripted(script) as server:
        assert await fetch(patient, server.url()) == (200, 20 * part)


async def test_time_that_the_reader_takes_does_not_count_against_the_peer(patient: Client) -> None:
    async with scripted(answering(HEAD + b"Content-Length: 6\r\n\r\nsl" + b"owly")) as server:
        response = await patient.send("GET", server.url(), CIMultiDict())
        await asyncio.sleep(2.2)  # longer than the patience with the peer: that is the point
        assert await response.read(6) == b"slowly"
        response.release()


async def test_a_peer_has_to_wait_for_a_slow_reader_and_memory_stays_bounded(client: Client) -> None:
    total, block = 64 * MIB, b"x" * MIB
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % total)
        for _ in range(total // MIB):
            await peer.send(block)
            sent += MIB
        await peer.closed()

    async with scripted(script) as server:
        tracemalloc.start()
        response = await client.send("GET", server.url(), CIMultiDict())
        while not response._connection._paused:  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(0)
        assert sent < 32 * MIB  # what the buffers of two sockets and of the server hold
        received = 0
        async for chunk in response.chunks():
            received += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        response.release()
    assert received == total
    assert peak < 12 * MIB


async def test_a_connection_whose_content_was_left_is_closed(client: Client) -> None:
    async with scripted(answering(HEAD + b"Content-Length: 100\r\n\r\nbeginning")) as server:
        response = await client.send("GET", server.url(), CIMultiDict())
        assert await response.read(4) == b"begi"
        response.release()
        await server.ended.wait()


async def test_an_answer_that_came_while_nobody_read_does_not_block_the_next_one(client: Client) -> None:
    """The peer was made to wait, and has sent everything nevertheless."""
    size = MIB + 128 * 1024

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.send(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)

    async with scripted(script) as server:
        response = await client.send("GET", server.url(), CIMultiDict())
        while not response._exchange.complete:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        response.release()
        async with asyncio.timeout(10):
            assert len((await fetch(client, server.url()))[1]) == size


async def test_an_error_is_not_overtaken_by_the_end_of_the_connection(client: Client) -> None:
    async with scripted(answering(HEAD + b"\r\nhalf")) as server:
        response = await client.send("GET", server.url(), CIMultiDict())
        assert await anext(response.chunks()) == b"half"
        response._exchange.fail(Stalled("the answer trickles"))
        response._connection.connection_lost(None)
        with pytest.raises(HttpError):
            await response.read(10)
        response.release()
