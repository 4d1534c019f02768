"""Credentials go to their own host, when it asks, and into no message."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import encode_basic_auth, web
from dockerimage_replication.oci.challenges import Challenge, parse_challenges
from dockerimage_replication.oci.credentials import Credentials, StaticCredentials
from dockerimage_replication.oci.errors import Denied, RegistryError, Unauthorized, Unavailable
from dockerimage_replication.oci.manifests import Descriptor
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.oci.upload import upload_content
from dockerimage_replication.shared.endpoints import Endpoints

from .support import CANARY, IMPATIENT, USERNAME, Handler, Server, digest, image_manifest, receive, serving

BASIC = encode_basic_auth(USERNAME, CANARY)
ROBOT = Credentials(USERNAME, CANARY)
IMAGE = image_manifest(b"config", [])


class Store:
    """A store whose first credentials are out of date; it records how it was asked."""

    def __init__(self, *passwords: str) -> None:
        self._passwords = list(passwords)
        self.asked: list[tuple[str, bool]] = []

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        self.asked.append((host, refresh))
        if refresh and len(self._passwords) > 1:
            self._passwords.pop(0)
        return Credentials(USERNAME, self._passwords[0])


def manifest() -> web.Response:
    return web.Response(body=IMAGE, headers={"Docker-Content-Digest": digest(IMAGE)})


def challenge(value: str) -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": value})


def wants(authorization: str, offer: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return manifest() if request.headers.get("Authorization") == authorization else challenge(offer)

    return handler


def repository(transport: Transport, server: Server, name: str = "a") -> Repository:
    return Repository(transport, Reference.parse(f"{server.address}/{name}:1"))


def static(server: Server) -> StaticCredentials:
    return StaticCredentials({server.address: ROBOT})


@asynccontextmanager
async def bearer_registry(expires_in: int = 300) -> AsyncIterator[tuple[Server, Server]]:
    """A registry and its token service, which is another host; tokens are numbered."""

    async def issue(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in (None, BASIC):
            return web.Response(status=401)
        return web.json_response({"access_token": f"token-{len(service.requests)}", "expires_in": expires_in})

    async def registry(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == f"Bearer token-{len(service.requests)}":
            return manifest()
        scope = f"repository:{request.path.split('/')[2]}:pull"
        return challenge(
            f'Bearer realm="http://{service.address}/token",service="reg, istry",scope="{scope}"'
        )

    async with serving(issue) as service, serving(registry) as server:
        yield server, service


async def test_a_real_registry_with_a_password(protected_address: str) -> None:
    reference = Reference.parse(f"{protected_address}/a:1")
    store = StaticCredentials({protected_address: ROBOT})
    async with Transport(credentials=store) as transport:
        target = Repository(transport, reference)
        await upload_content(target, Descriptor("x", digest(b"config"), 6), b"config")
        assert await target.blob_exists(digest(b"config"))
    async with Transport() as transport:
        with pytest.raises(Unauthorized, match="wants credentials, and none are configured"):
            await Repository(transport, reference).list_tags()


async def test_basic_credentials_follow_a_challenge_and_are_then_sent_at_once() -> None:
    async with serving(wants(BASIC, 'Basic realm="x"')) as server:
        async with Transport(credentials=static(server)) as transport:
            await repository(transport, server).get_manifest("1")
            await repository(transport, server).get_manifest("1")
        assert server.authorizations() == [None, BASIC, BASIC]


async def test_a_host_without_credentials_gets_no_authorization_header(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {USERNAME} password {CANARY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving(wants(BASIC, 'Basic realm="x"')) as asking, serving(wants("", "")) as other:
        async with Transport(credentials=static(other)) as transport:
            for server in (asking, other):
                with pytest.raises(Unauthorized):
                    await repository(transport, server).get_manifest("1")
        assert asking.authorizations() == [None]
        assert other.authorizations() == [None]  # it asked for nothing that makes sense


async def test_an_endpoint_override_is_another_host_with_credentials_of_its_own() -> None:
    async with serving(wants(BASIC, 'Basic realm="x"')) as server:
        endpoints = Endpoints({"quay.io": f"http://{server.address}"})
        reference = Reference.parse("quay.io/a:1")
        store = StaticCredentials({"quay.io": Credentials("other", "secret")})
        async with Transport(endpoints=endpoints, credentials=store) as transport:
            with pytest.raises(Unauthorized):
                await Repository(transport, reference).get_manifest("1")
        assert server.authorizations() == [None]
        async with Transport(endpoints=endpoints, credentials=static(server)) as transport:
            assert (await Repository(transport, reference).get_manifest("1")).raw == IMAGE


async def test_refused_credentials_are_refreshed_once() -> None:
    async with serving(wants(BASIC, 'Basic realm="x"')) as server:
        store = Store("old", CANARY)
        async with Transport(credentials=store) as transport:
            await repository(transport, server).get_manifest("1")
        assert [refresh for _, refresh in store.asked] == [False, False, True]
        store = Store("old", "still wrong")
        async with Transport(credentials=store) as transport:
            with pytest.raises(Unauthorized):
                await repository(transport, server).get_manifest("1")
        assert [refresh for _, refresh in store.asked].count(True) == 1


@pytest.mark.parametrize("anonymous", [True, False])
async def test_a_token_is_fetched_from_the_realm_and_kept(anonymous: bool) -> None:
    async with bearer_registry() as (server, service):
        store = StaticCredentials({}) if anonymous else static(server)
        async with Transport(credentials=store) as transport:
            await repository(transport, server).get_manifest("1")
            await repository(transport, server).head_manifest("1")
        assert server.authorizations() == [None, "Bearer token-1", "Bearer token-1"]
        assert service.authorizations() == [None if anonymous else BASIC]
        assert dict(service.requests[0].query) == {"service": "reg, istry", "scope": "repository:a:pull"}


async def test_each_scope_has_its_own_token() -> None:
    async with bearer_registry() as (server, service):
        async with Transport() as transport:
            await repository(transport, server, "a").head_manifest("1")
            await repository(transport, server, "b").head_manifest("1")
        scopes = [seen.query["scope"] for seen in service.requests]
        assert scopes == ["repository:a:pull", "repository:b:pull"]


async def test_an_expired_token_is_replaced_before_it_is_sent() -> None:
    async with bearer_registry(expires_in=-1) as (server, _), Transport() as transport:
        await repository(transport, server).head_manifest("1")
        await repository(transport, server).head_manifest("1")
        assert server.authorizations() == [None, "Bearer token-1", None, "Bearer token-2"]


async def test_a_token_that_the_registry_forgot_is_replaced() -> None:
    async with bearer_registry() as (server, service), Transport() as transport:
        await repository(transport, server).head_manifest("1")
        service.requests.append(service.requests[0])  # so that token-1 is not the newest any more
        await repository(transport, server).head_manifest("1")
        assert server.authorizations()[2:] == ["Bearer token-1", "Bearer token-3"]


async def test_the_token_service_gets_refreshed_credentials_too() -> None:
    store = Store("old", CANARY)
    async with bearer_registry() as (server, service), Transport(credentials=store) as transport:
        await repository(transport, server).head_manifest("1")
        assert service.authorizations()[1] == BASIC
        assert store.asked == [(server.address, False), (server.address, True)]


@pytest.mark.parametrize("answer", ["{}", "[]", "{", '{"token": 5}', '{"token": "a\\nb"}', '{"token": ""}'])
async def test_a_token_service_that_sends_no_token(answer: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.Response(text=answer)
        return challenge(f'Bearer realm="http://{server.address}/token"')

    async with serving(handler) as server, Transport() as transport:
        with pytest.raises(Unauthorized, match="sent no token"):
            await repository(transport, server).head_manifest("1")


@pytest.mark.parametrize(
    "realm", ["http://auth.test/token", "ftp://auth.test", "", "http://a:99999", "/token"]
)
async def test_credentials_do_not_go_to_a_token_service_in_the_clear(realm: str) -> None:
    async with (
        serving(wants("", f'Bearer realm="{realm}"')) as server,
        Transport(credentials=static(server)) as transport,
    ):
        with pytest.raises(Unauthorized, match=r"not sent there|no usable token service"):
            await repository(transport, server).head_manifest("1")


@pytest.mark.parametrize("status", [302, 307])
async def test_a_blob_on_another_host_is_fetched_without_authorization(status: int) -> None:
    async def store(request: web.Request) -> web.StreamResponse:
        return (
            web.Response(body=b"content") if "sig=a%2Fb%2B" in request.raw_path else web.Response(status=403)
        )

    async def registry(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != BASIC:
            return challenge("Basic")
        location = f"http://{storage.address}/bucket?sig=a%2Fb%2B"
        return web.Response(status=status, headers={"Location": location})

    async with serving(store) as storage, serving(registry) as server:
        async with Transport(credentials=static(server)) as transport:
            blob = Descriptor("x", digest(b"content"), 7)
            assert await receive(repository(transport, server), blob) == b"content"
        assert storage.authorizations() == [None]


async def test_a_storage_host_cannot_ask_for_the_credentials_of_the_registry() -> None:
    async def registry(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"http://{storage.address}/blob"})

    async with serving(wants(BASIC, "Basic")) as storage, serving(registry) as server:
        for host in (server, storage):
            async with Transport(credentials=static(host)) as transport:
                with pytest.raises(Unauthorized):
                    await repository(transport, server).head_manifest("1")
        assert storage.authorizations() == [None, None]


async def test_no_error_holds_a_secret_or_the_query_of_a_url() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        sent = request.headers.get("Authorization")
        if sent is None:
            return challenge("Basic")
        message = f"you sent {sent} which is {CANARY}\x1b[2J, see http://x/y?signature=abc"
        status = int(request.path.rpartition("/")[2])
        return web.Response(
            status=status, text=json.dumps({"errors": [{"code": "ECHO", "message": message}]})
        )

    messages = []
    async with (
        serving(echo) as server,
        Transport(credentials=static(server), retry=IMPATIENT) as transport,
    ):
        for status in ("400", "403", "404", "429", "500"):
            with pytest.raises(RegistryError, match="ECHO: you sent") as refused:
                await repository(transport, server).get_manifest(status)
            messages.append(f"{refused.value!r} {refused.value.__cause__!r}")
    text = " ".join(messages)
    for secret in (CANARY, BASIC.partition(" ")[2], "signature", "\x1b"):
        assert secret not in text
    assert CANARY not in repr(ROBOT)


async def test_a_broken_connection_to_a_presigned_address_names_only_the_reference() -> None:
    async def registry(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/blob?signature=abc"})

    async with serving(registry) as server, Transport(retry=IMPATIENT) as transport:
        with pytest.raises(Unavailable, match="no connection") as failed:
            await repository(transport, server).get_manifest("1")
    assert "signature" not in f"{failed.value!r} {failed.value.__cause__!r}"
    assert failed.value.__suppress_context__


async def test_a_403_is_denied_and_asks_for_no_credentials() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with serving(handler) as server, Transport(credentials=static(server)) as transport:
        with pytest.raises(Denied, match=f"{server.address}/a:1: access denied"):
            await repository(transport, server).get_manifest("1")
        assert server.authorizations() == [None]


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="r:a:pull r:b:pull"',
            [Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "r:a:pull r:b:pull"})],
        ),
        (
            'Negotiate, BASIC Realm = "a, \\"b\\"" , bearer realm=x',
            [
                Challenge("negotiate", {}),
                Challenge("basic", {"realm": 'a, "b"'}),
                Challenge("bearer", {"realm": "x"}),
            ],
        ),
        ("", []),
        ('="', []),
    ],
)
def test_challenges(header: str, challenges: list[Challenge]) -> None:
    assert parse_challenges([header]) == challenges
