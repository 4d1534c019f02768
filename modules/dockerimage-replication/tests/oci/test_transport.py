"""Requests: tried again with patience, limited per host, through proxies, over TLS."""

import asyncio
import datetime
import email.utils
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import encode_basic_auth, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dockerimage_replication.oci.errors import NotFound, RegistryError, TooManyRequests, Unavailable
from dockerimage_replication.oci.manifests import Descriptor
from dockerimage_replication.oci.proxy import proxy_for
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository, Upload
from dockerimage_replication.oci.retry import RetryPolicy, parse_retry_after
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints
from yarl import URL

from .support import IMPATIENT, Handler, Server, digest, image_manifest, serving

IMAGE = image_manifest(b"config", [])


def repository(transport: Transport, server: Server) -> Repository:
    return Repository(transport, Reference.parse(f"{server.address}/a:1"))


def answers(*responses: Callable[[], web.StreamResponse]) -> Handler:
    """A server that gives these answers in turn, and the last one for ever."""
    left = list(responses)

    async def handler(request: web.Request) -> web.StreamResponse:
        return (left.pop(0) if len(left) > 1 else left[0])()

    return handler


def fine() -> web.Response:
    return web.Response(body=IMAGE)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the retries would have waited, which they do not."""
    seconds: list[float] = []

    async def sleep(delay: float) -> None:
        seconds.append(delay)

    async def pass_by(delay: float) -> None:
        pass

    monkeypatch.setattr("dockerimage_replication.oci.retry.sleep", sleep)
    monkeypatch.setattr("dockerimage_replication.oci.limiter.sleep", pass_by)
    return seconds


async def test_a_429_is_waited_for_as_long_as_the_registry_asks(waits: list[float]) -> None:
    limited = lambda: web.Response(status=429, headers={"Retry-After": "17"})  # noqa: E731
    async with serving(answers(limited, fine)) as server, Transport() as transport:
        assert (await repository(transport, server).get_manifest("1")).raw == IMAGE
    assert len(waits) == 1
    assert 17 <= waits[0] <= 17.5


async def test_a_wait_that_is_too_long_is_not_waited_for(waits: list[float]) -> None:
    limited = lambda: web.Response(status=429, headers={"Retry-After": "3600"})  # noqa: E731
    async with serving(answers(limited)) as server, Transport() as transport:
        with pytest.raises(TooManyRequests, match="429") as refused:
            await repository(transport, server).get_manifest("1")
        assert len(server.requests) == 1
    assert refused.value.retry_after == 3600
    assert waits == []


async def test_errors_of_the_server_are_tried_again_a_bounded_number_of_times(waits: list[float]) -> None:
    broken = lambda: web.Response(status=503)  # noqa: E731
    async with serving(answers(broken, broken, fine)) as server, Transport() as transport:
        assert (await repository(transport, server).get_manifest("1")).raw == IMAGE
        assert len(server.requests) == 3
    async with serving(answers(broken)) as server, Transport() as transport:
        with pytest.raises(Unavailable, match=r"a:1: the registry failed \(HTTP 503"):
            await repository(transport, server).get_manifest("1")
        assert len(server.requests) == RetryPolicy().tries
    bounds = [0.5, 1, 0.5, 1, 2, 4, 8, 8, 8, 8, 8]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


async def test_an_answer_that_breaks_off_is_asked_for_again(waits: list[float]) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if len(server.requests) > 1:
            return fine()
        response = web.StreamResponse(headers={"Content-Length": str(len(IMAGE))})
        await response.prepare(request)
        await response.write(IMAGE[:10])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as server, Transport() as transport:
        assert (await repository(transport, server).get_manifest("1")).raw == IMAGE
        assert len(server.requests) == 2


async def test_a_refusal_is_not_tried_again() -> None:
    async with serving(answers(lambda: web.Response(status=404))) as server, Transport() as transport:
        with pytest.raises(NotFound):
            await repository(transport, server).get_manifest("1")
        assert len(server.requests) == 1


async def test_no_connection_is_unavailable() -> None:
    async with Transport(retry=IMPATIENT) as transport:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/a:1: no connection"):
            await Repository(transport, Reference.parse("127.0.0.1:1/a:1")).get_manifest("1")


def test_retry_after_is_seconds_or_a_date() -> None:
    in_a_minute = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert parse_retry_after("7") == 7
    assert 58 <= (parse_retry_after(email.utils.format_datetime(in_a_minute, usegmt=True)) or 0) <= 60
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [parse_retry_after(value) for value in (None, "", "soon", "-1", "²")] == [None] * 5


async def test_no_more_requests_at_a_time_than_the_limit_of_the_host() -> None:
    running, most, full = 0, 0, asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1
        return fine()

    async with serving(handler) as server, Transport(concurrency=2) as transport:
        await asyncio.gather(*[repository(transport, server).get_manifest("1") for _ in range(10)])
        assert len(server.requests) == 10
    assert most == 2


async def test_a_server_that_sends_nothing_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return fine()

    async with serving(handler) as server, Transport(retry=IMPATIENT, idle_timeout=0.05) as transport:
        with pytest.raises(Unavailable, match="does not answer"):
            await repository(transport, server).get_manifest("1")


async def test_a_server_that_stops_to_read_an_upload_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return fine()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024 * 1024

    blob = Descriptor("x", digest(b""), 10**12)
    async with serving(handler) as server, Transport(idle_timeout=0.2) as transport:
        location = Upload(URL(f"http://{server.address}/upload"))
        with pytest.raises(Unavailable, match="does not answer"):
            await repository(transport, server).append(location, blob, endless(), blob.size)


@pytest.mark.parametrize("location", ["/v2/a/manifests/1", "ftp://x/", "http://x:99999/", "http://", "//"])
async def test_redirects_in_a_circle_or_to_nowhere_end(location: str) -> None:
    moved = lambda: web.Response(status=302, headers={"Location": location})  # noqa: E731
    async with serving(answers(moved)) as server, Transport(retry=IMPATIENT) as transport:
        with pytest.raises(RegistryError, match=r"redirects|Location"):
            await repository(transport, server).get_manifest("1")
        assert len(server.requests) <= 6


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = Endpoints({"quay.io": "http://registry.invalid"})
    async with serving(answers(fine)) as server, Transport(endpoints=endpoints) as transport:
        monkeypatch.setenv("http_proxy", f"http://user:word@{server.address}")
        await Repository(transport, Reference.parse("quay.io/a:1")).get_manifest("1")
        assert server.requests[0].headers["Host"] == "registry.invalid"
        assert server.requests[0].headers["Proxy-Authorization"] == encode_basic_auth("user", "word")
        assert server.authorizations() == [None]


def test_which_proxy_a_url_is_reached_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", "internal.test,exact.test:5000")
    assert proxy_for(URL("https://quay.io/v2/")) == URL("http://proxy.test:3128")
    direct = [
        "https://a.internal.test/",
        "https://exact.test:5000/",
        "https://127.0.0.1:5000/",
        "http://quay.io",
    ]
    assert [proxy_for(URL(url)) for url in direct] == [None] * 4


async def test_tls_needs_a_trusted_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate(tmp_path))
    async with serving(answers(fine), tls=tls) as server:
        endpoints = Endpoints({server.address: f"https://{server.address}"})
        async with Transport(endpoints=endpoints, retry=IMPATIENT) as transport:
            with pytest.raises(RegistryError, match="certificate is not trusted") as refused:
                await repository(transport, server).get_manifest("1")
            assert not isinstance(refused.value, Unavailable)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with Transport(endpoints=endpoints) as transport:
            assert (await repository(transport, server).get_manifest("1")).raw == IMAGE


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry of a test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(pem))
    paths[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
