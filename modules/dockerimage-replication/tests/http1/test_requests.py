"""Requests: what is sent, on which connection, through which proxy, and when it is sent again."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dockerimage_replication.http1.client import Client
from dockerimage_replication.http1.errors import (
    ConnectionBroken,
    NoConnection,
    Stalled,
    Unsendable,
    UntrustedCertificate,
)
from multidict import CIMultiDict
from registry_doubles.real import Certificate
from yarl import URL

from .support import OK, Peer, Script, answering, fetch, scripted

MIB = 1024 * 1024


def recording(heads: list[bytes], answer: bytes = OK) -> Script:
    async def script(peer: Peer) -> None:
        while head := await peer.request():
            heads.append(head)
            await peer.send(answer)

    return script


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536
        await asyncio.sleep(0)


async def test_what_a_request_consists_of(client: Client) -> None:
    heads: list[bytes] = []
    async with scripted(recording(heads)) as server:
        await fetch(client, server.url("/v2/a%2Fb?x=%20y#fragment"), Accept="text/plain")
        await fetch(client, server.url(), "PUT", b"content")
        await fetch(client, server.url(), "POST")
        own = f"Host: {server.address}\r\nUser-Agent: test\r\nAccept-Encoding: identity\r\n"
        assert heads[0].decode() == f"GET /v2/a%2Fb?x=%20y HTTP/1.1\r\n{own}Accept: text/plain\r\n\r\n"
        assert heads[1].decode() == f"PUT / HTTP/1.1\r\n{own}Content-Length: 7\r\n\r\n"
        assert heads[2].startswith(b"contentPOST / HTTP/1.1\r\n")
        assert heads[2].endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://registry.test/", "registry.test"),
        ("http://registry.test:80/", "registry.test"),
        ("http://registry.test:5000/", "registry.test:5000"),
        ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ("http://[2001:DB8::1]:5000/", "[2001:db8::1]:5000"),
    ],
)
async def test_the_host_header(client: Client, url: str, host: str) -> None:
    heads: list[bytes] = []
    async with scripted(recording(heads)) as server:
        response = await client.send("GET", URL(url), CIMultiDict(), proxy=URL(f"http://{server.address}"))
        response.release()
        assert heads[0].split(b"\r\n")[1].decode() == f"Host: {host}"


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/", {"Authorization": "Bearer x\r\nX: y"}),
        ("/", {"Authorization": "Bearer x\ny"}),
        ("/", {"Authorization": "x\0y"}),
        ("/", {"Authorization": "\N{EURO SIGN}"}),
    ],
)
async def test_nothing_in_a_request_begins_a_line_or_a_request_of_its_own(
    client: Client, target: str, headers: dict[str, str]
) -> None:
    heads: list[bytes] = []
    async with scripted(recording(heads)) as server:
        url = URL(f"http://{server.address}{target}", encoded=True)
        with pytest.raises(Unsendable) as refused:
            await fetch(client, url, **headers)
        assert "Bearer" not in str(refused.value)
        await fetch(client, server.url())
        assert len(heads) == 1


async def test_connections_are_as_many_as_requests_at_a_time_and_are_used_again(client: Client) -> None:
    async with scripted(recording([])) as server:
        for _ in range(3):
            await asyncio.gather(*[fetch(client, server.url()) for _ in range(5)])
        assert server.connections == 5


async def closing_after_one(peer: Peer) -> None:
    """The first connection is closed after its first answer, as if it had been idle for too long."""
    while await peer.request():
        await peer.send(OK)
        if peer.number == 0:
            await peer.request()
            return


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("HEAD", None), ("PUT", b"x"), ("POST", None)])
async def test_a_kept_connection_that_its_server_closes_at_that_moment_is_replaced(
    client: Client, method: str, body: bytes | None
) -> None:
    async with scripted(closing_after_one) as server:
        await fetch(client, server.url())
        status, _ = await fetch(client, server.url(), method, body)
        assert status == 200
        assert server.connections == 2


async def test_a_stream_is_not_sent_twice(client: Client) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"once"

    async with scripted(closing_after_one) as server:
        await fetch(client, server.url())
        with pytest.raises(ConnectionBroken) as broken:
            await fetch(client, server.url(), "PATCH", stream(), **{"Content-Length": "4"})
        assert not broken.value.answered
        assert server.connections == 1


async def test_a_new_connection_that_is_closed_is_no_stale_one(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with scripted(script) as server:
        with pytest.raises(ConnectionBroken):
            await fetch(client, server.url())
        assert server.connections == 1


async def test_a_server_that_refuses_while_a_stream_is_sent_is_heard(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large")
        await peer.closed()

    async with scripted(script) as server:
        length = {"Content-Length": str(10**12)}
        assert await fetch(client, server.url(), "PATCH", endless(), **length) == (413, b"too large")
        await server.ended.wait()  # half a request can be followed by nothing


async def test_an_error_of_the_stream_comes_out_unchanged(client: Client) -> None:
    class OwnError(Exception):
        pass

    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise OwnError

    async with scripted(answering(OK)) as server:
        with pytest.raises(OwnError):
            await fetch(client, server.url(), "PATCH", failing(), **{"Content-Length": "9"})
        await server.ended.wait()


async def test_a_peer_that_does_not_read_is_not_sent_more_and_has_stalled(impatient: Client) -> None:
    given = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += MIB
            yield b"x" * MIB

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with scripted(script) as server:
        with pytest.raises(Stalled):
            await fetch(impatient, server.url(), "PATCH", stream(), **{"Content-Length": str(10**12)})
    assert given < 32 * MIB  # what the buffers of two sockets hold, and one of our own


@pytest.mark.parametrize("moment", ["head", "content", "body"])
async def test_a_request_that_is_cancelled_takes_its_connection_along(client: Client, moment: str) -> None:
    reached = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            if moment == "content":
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            reached.set()
            await peer.closed()
        else:
            await peer.send(OK)

    async with scripted(script) as server:
        body, length = (endless(), {"Content-Length": str(10**12)}) if moment == "body" else (None, {})
        method = "PATCH" if body else "GET"
        request = asyncio.create_task(fetch(client, server.url(), method, body, **length))
        await reached.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await server.ended.wait()
        assert await fetch(client, server.url()) == (200, b"ok")
        assert server.connections == 2


async def test_nobody_there(client: Client) -> None:
    async with scripted(answering()) as server:
        url = server.url()
    with pytest.raises(NoConnection, match=r"^Connection refused$"):
        await fetch(client, url)


async def test_tls_with_a_peer_that_speaks_none_or_is_not_trusted(client: Client, tmp_path: Path) -> None:
    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with scripted(plain) as server:
        with pytest.raises(NoConnection, match=r"^TLS: ") as failed:
            await fetch(client, server.url(scheme="https"))
        assert "Operation not permitted" not in str(failed.value)
    async with scripted(answering(OK), tls=tls_of(Certificate.make(tmp_path))) as server:
        with pytest.raises(UntrustedCertificate, match="self-signed"):
            await fetch(client, server.url(scheme="https"))


def tls_of(certificate: Certificate) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.chain, certificate.key)
    return tls


async def test_http_through_a_proxy(client: Client) -> None:
    heads: list[bytes] = []
    async with scripted(recording(heads)) as server:
        proxy = URL(f"http://user:p%40ss@{server.address}")
        response = await client.send("GET", URL("http://registry.test/v2/?n=1"), CIMultiDict(), proxy=proxy)
        response.release()
    credentials = base64.b64encode(b"user:p@ss")
    assert heads[0].startswith(b"GET http://registry.test/v2/?n=1 HTTP/1.1\r\nHost: registry.test\r\n")
    assert b"Proxy-Authorization: Basic " + credentials + b"\r\n" in heads[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n",
    ],
)
async def test_https_through_a_tunnel(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: bytes
) -> None:
    """The proxy's credentials do not go through it, and nothing else goes to the proxy."""
    certificate = Certificate.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    heads: list[bytes] = []
    connects: list[bytes] = []
    async with scripted(recording(heads), tls=tls_of(certificate)) as server:

        async def proxying(peer: Peer) -> None:
            connects.append(await peer.request())
            await peer.send(answer)
            far = await asyncio.open_connection(*server.address.split(":"))
            await asyncio.gather(pipe(peer.reader, far[1]), pipe(far[0], peer.writer))

        async with scripted(proxying) as front:
            proxy = URL(f"http://user:word@{front.address}")
            for _ in range(2):
                url = server.url("/v2/", scheme="https")
                response = await client.send("GET", url, CIMultiDict({"Authorization": "x"}), proxy=proxy)
                assert await response.read(10) == b"ok"
                response.release()
            client.close()
    assert len(connects) == 1
    assert connects[0].startswith(f"CONNECT {server.address} HTTP/1.1\r\nHost: {server.address}\r\n".encode())
    assert b"Proxy-Authorization: Basic" in connects[0]
    assert b"\r\nAuthorization" not in connects[0]
    assert len(heads) == 2
    assert b"Proxy-Authorization" not in heads[0]


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(65536):
        writer.write(content)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "HTTP 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "HTTP 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nsmuggled", "of its own"),
        (b"garbage\r\n\r\n", "the proxy: no HTTP/1.1 answer"),
        (b"", "the proxy: the connection broke"),
    ],
)
async def test_a_proxy_that_makes_no_tunnel(client: Client, answer: bytes, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        if answer:
            await peer.closed()

    async with scripted(script) as front:
        proxy = URL(f"http://user:word@{front.address}")
        with pytest.raises(NoConnection, match=reason) as failed:
            await client.send("GET", URL("https://registry.test/"), CIMultiDict(), proxy=proxy)
        assert "word" not in str(failed.value)
        await front.ended.wait()
