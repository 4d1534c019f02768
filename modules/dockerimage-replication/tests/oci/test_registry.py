"""The verbs of a repository, against a real registry and against one that misbehaves."""

import json
from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import web
from dockerimage_replication.oci.digest import digest_of
from dockerimage_replication.oci.errors import (
    DigestMismatch,
    InvalidManifest,
    NotFound,
    RegistryError,
    Unavailable,
)
from dockerimage_replication.oci.manifests import OCI_MANIFEST, SIZE_LIMIT, Descriptor
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.oci.upload import upload_content
from dockerimage_replication.shared.endpoints import Endpoints

from .support import IMPATIENT, MIB, Client, Handler, Server, digest, image_manifest, proxy, receive, serving

IMAGE = image_manifest(b"config", [])


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(retry=IMPATIENT) as transport:
        yield transport


def at(transport: Transport, place: Client | Server, name: str) -> Repository:
    return Repository(transport, Reference.parse(f"{place.address}/{name}"))


def of(content: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", digest(content), len(content))


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def always(response: Mapping[str, object]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(**response)  # type: ignore[arg-type]

    return handler


async def test_a_manifest_is_read_by_tag_and_by_digest(transport: Transport, source: Client) -> None:
    raw = await source.put_image("verbs/read", "1", [b"layer"])
    repository = at(transport, source, "verbs/read")
    assert await repository.head_manifest("1") == digest(raw)
    by_tag, by_digest = await repository.get_manifest("1"), await repository.get_manifest(digest(raw))
    assert by_tag == by_digest
    assert (by_tag.raw, by_tag.digest, by_tag.media_type) == (raw, digest(raw), OCI_MANIFEST)


async def test_a_manifest_is_written_with_its_bytes_unchanged(transport: Transport, source: Client) -> None:
    raw = await source.put_image("verbs/write", "1", [b"layer"])
    repository = at(transport, source, "verbs/write")
    manifest = await repository.get_manifest("1")
    await repository.put_manifest(manifest, "2")
    assert await source.get_manifest("verbs/write", "2") == raw
    assert sorted(await repository.list_tags()) == ["1", "2"]


async def test_what_does_not_exist_is_not_found(transport: Transport, source: Client) -> None:
    await source.put_image("verbs/exists", "1", [b"layer"])
    repository = at(transport, source, "verbs/exists")
    assert await repository.blob_exists(digest(b"layer"))
    assert not await repository.blob_exists(digest(b"other"))
    for name in ("2", digest(b"other")):
        with pytest.raises(NotFound):
            await repository.head_manifest(name)
        with pytest.raises(NotFound, match="MANIFEST_UNKNOWN: manifest unknown") as missing:
            await repository.get_manifest(name)
        assert (missing.value.status, missing.value.code) == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("size", [0, 1, MIB])
async def test_a_blob_from_memory_goes_in_one_request(
    transport: Transport, source: Client, size: int
) -> None:
    content = bytes(index * 31 % 251 for index in range(min(size, 1000))) * (size // 1000 + 1)
    content = content[:size]
    async with proxy(source.address) as front:
        repository = at(transport, front, "verbs/blob")
        await upload_content(repository, of(content), content)
        assert await receive(repository, of(content)) == content
        assert [seen.method for seen in front.requests if seen.method != "GET"] == ["POST", "PUT"]
        [body] = front.seen("PUT")
        assert int(body.headers["Content-Length"]) == size
        assert "Transfer-Encoding" not in body.headers


async def test_a_blob_is_read_from_any_byte_on(transport: Transport, source: Client) -> None:
    content = bytes(range(256)) * 1000
    await source.put_blob("verbs/part", content)
    repository = at(transport, source, "verbs/part")
    for start in (0, 1, 255_999):
        part = b"".join([chunk async for chunk in repository.read_blob(of(content), start)])
        assert part == content[start:]


async def test_a_registry_without_range_requests_sends_everything_and_the_beginning_is_left_out(
    transport: Transport,
) -> None:
    async with serving(always({"body": b"0123456789"})) as server:
        repository = at(transport, server, "a")
        part = b"".join([chunk async for chunk in repository.read_blob(of(b"0123456789"), 7)])
        assert part == b"789"
        assert server.requests[0].headers["Range"] == "bytes=7-"


async def test_a_blob_is_mounted_or_an_upload_takes_its_place(transport: Transport, source: Client) -> None:
    await source.put_image("verbs/origin", "1", [b"mountable"])
    repository = at(transport, source, "verbs/mounted")
    assert await repository.mount_blob(digest(b"mountable"), "verbs/origin") is None
    assert await source.get_blob("verbs/mounted", digest(b"mountable")) == b"mountable"
    upload = await repository.mount_blob(digest(b"nowhere"), "verbs/origin")
    assert upload is not None
    await upload_content(repository, of(b"nowhere"), b"nowhere", upload)
    assert await source.get_blob("verbs/mounted", digest(b"nowhere")) == b"nowhere"


@pytest.mark.parametrize("relative", [True, False])
async def test_the_location_of_an_upload_may_be_relative(transport: Transport, relative: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        base = "" if relative else f"http://{server.address}"
        if request.method == "PUT":
            return web.Response(status=201)
        return web.Response(status=202, headers={"Location": f"{base}/go%2Fon?_state=a%2Bb%3D&x"})

    async with serving(handler) as server:
        content = b"content"
        repository = at(transport, server, "a")
        upload = await repository.append(
            await repository.begin_upload(of(content)), of(content), once(content), len(content)
        )
        await repository.finish_upload(upload, of(content))
        paths = [seen.raw_path for seen in server.requests[1:]]
        assert paths[0] == "/go%2Fon?_state=a%2Bb%3D&x"
        assert paths[1] == f"/go%2Fon?_state=a%2Bb%3D&x&digest=sha256%3A{digest(content)[7:]}"


async def test_a_path_prefix_of_the_endpoint_stands_before_every_repository(source: Client) -> None:
    raw = await source.put_image("hub/calico/node", "1", [b"prefixed"])
    endpoints = Endpoints({"docker.io": f"http://{source.address}/hub"})
    async with Transport(endpoints=endpoints) as transport:
        node = Repository(transport, Reference.parse("calico/node:1"))
        assert (await node.get_manifest("1")).raw == raw
        other = Repository(transport, Reference.parse("calico/other:1"))
        assert await other.mount_blob(digest(b"prefixed"), "calico/node") is None
    assert await source.get_blob("hub/calico/other", digest(b"prefixed")) == b"prefixed"


async def test_tags_are_listed_page_by_page(transport: Transport) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if "last" in request.query:
            return web.json_response({"tags": ["c"]})
        link = {"Link": '</v2/a/tags/list?last=b&n=2>; rel="next"'}
        return web.json_response({"tags": ["a", "b"]}, headers=link)

    async with serving(handler) as server:
        assert await at(transport, server, "a").list_tags() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("body", "link", "problem"),
    [
        ({"tags": ["a"]}, '</v2/a/tags/list?n=1000>; rel="next"', "repeats"),
        ({"tags": [1]}, "", "no list of tags"),
        ([], "", "no list of tags"),
    ],
)
async def test_a_list_of_tags_that_makes_no_sense(
    transport: Transport, body: object, link: str, problem: str
) -> None:
    async with serving(always({"text": json.dumps(body), "headers": {"Link": link}})) as server:
        with pytest.raises(RegistryError, match=problem):
            await at(transport, server, "a").list_tags()


async def test_a_repository_without_tags_has_none(transport: Transport) -> None:
    async with serving(always({"text": '{"tags": null}'})) as server:
        assert await at(transport, server, "a").list_tags() == []


async def test_a_head_without_a_digest_is_followed_by_a_get(transport: Transport) -> None:
    async with serving(always({"body": IMAGE})) as server:
        assert await at(transport, server, "a").head_manifest("1") == digest(IMAGE)
        assert [seen.method for seen in server.requests] == ["HEAD", "GET"]


async def test_a_manifest_with_other_bytes_than_its_digest_is_refused(transport: Transport) -> None:
    lie = {"body": IMAGE, "headers": {"Docker-Content-Digest": digest(b"other")}}
    async with serving(always(lie)) as server:
        for name in ("1", digest(b"other")):
            with pytest.raises(DigestMismatch):
                await at(transport, server, "a").get_manifest(name)
        sha512 = digest_of(IMAGE, like="sha512:")
        assert (await at(transport, server, "a").get_manifest(sha512)).digest == sha512


async def test_an_endless_manifest_is_cut_off(transport: Transport) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * MIB)

    async with serving(handler) as server:
        with pytest.raises(InvalidManifest, match=f"larger than {SIZE_LIMIT}"):
            await at(transport, server, "a").get_manifest("1")


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"contenx", "has the digest"),
        (b"content+", "the registry has 8 bytes, its descriptor says 7"),
        (b"conten", "the registry has 6 bytes, its descriptor says 7"),
    ],
)
async def test_a_blob_that_is_not_its_descriptor_is_refused(
    transport: Transport, sent: bytes, problem: str
) -> None:
    async with serving(always({"body": sent})) as server:
        with pytest.raises(DigestMismatch, match=problem):
            await receive(at(transport, server, "a"), of(b"content"))


def without_length(content: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(content)
        return response

    return handler


async def test_a_blob_without_a_length_that_goes_on_too_long_is_refused(transport: Transport) -> None:
    async with serving(without_length(b"content+")) as server:
        with pytest.raises(DigestMismatch, match="more than the 7 bytes"):
            await receive(at(transport, server, "a"), of(b"content"))


async def test_a_blob_without_a_length_that_always_ends_too_early_is_unavailable(
    transport: Transport,
) -> None:
    async with serving(without_length(b"conten")) as server:
        with pytest.raises(Unavailable, match="ended too early"):
            await receive(at(transport, server, "a"), of(b"content"))


async def test_what_a_registry_stored_under_another_digest_is_an_error(transport: Transport) -> None:
    stored = {"Docker-Content-Digest": digest(b"other"), "Location": "/x"}
    async with serving(always({"status": 201, "headers": stored})) as server:
        repository = at(transport, server, "a")
        with pytest.raises(DigestMismatch, match="stored it as"):
            await upload_content(repository, of(b"content"), b"content")


async def test_an_upload_without_a_location_is_an_error(transport: Transport) -> None:
    async with serving(always({"status": 202})) as server:
        with pytest.raises(RegistryError, match="named no location"):
            await upload_content(at(transport, server, "a"), of(b"content"), b"content")


async def test_an_upload_that_the_registry_loses_is_begun_anew_some_times(transport: Transport) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": "/x"})
        return web.Response(status=404)

    async with serving(handler) as server:
        with pytest.raises(NotFound):
            await upload_content(at(transport, server, "a"), of(b"content"), b"content")
        assert 1 < len(server.seen("POST")) == len(server.seen("PUT")) < 20
