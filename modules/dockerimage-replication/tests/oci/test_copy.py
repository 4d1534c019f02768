"""Copies: the same bytes and digests at the destination, nothing twice, nothing half."""

import asyncio
import hashlib
import json
import random
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from dockerimage_replication.oci.copy import Copier, CopyResult
from dockerimage_replication.oci.download import WRONG_CONTENT
from dockerimage_replication.oci.errors import (
    Denied,
    DigestMismatch,
    InvalidManifest,
    NotFound,
    RegistryError,
    Unavailable,
)
from dockerimage_replication.oci.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints

from .support import (
    IMPATIENT,
    LAYER,
    MIB,
    Client,
    Handler,
    Server,
    descriptor,
    digest,
    image_manifest,
    index_manifest,
    proxy,
    serving,
)

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.fixture
async def copier() -> AsyncIterator[Copier]:
    async with Transport(retry=IMPATIENT) as transport:
        yield Copier(transport)


@pytest.fixture
async def source_front(source: Client) -> AsyncIterator[Server]:
    async with proxy(source.address) as front:
        yield front


@pytest.fixture
async def front(destination: Client) -> AsyncIterator[Server]:
    """The destination, with a record of what was asked of it."""
    async with proxy(destination.address) as front:
        yield front


def at(place: Client | Server, name: str) -> Reference:
    return Reference.parse(f"{place.address}/{name}")


def noise(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - content, not a secret


def manifests(index: bytes) -> list[str]:
    return [child["digest"] for child in json.loads(index)["manifests"]]


def blobs(manifest: bytes) -> list[str]:
    value = json.loads(manifest)
    return [value["config"]["digest"], *[layer["digest"] for layer in value["layers"]]]


async def assert_same(source: Client, destination: Client, repository: str, name: str, copy: str) -> None:
    """All bytes below `name` are at the destination, read by a client that is not under test."""
    raw = await source.get_manifest(repository, name)
    assert raw is not None
    assert await destination.get_manifest(copy, name) == raw
    value = json.loads(raw)
    for child in value.get("manifests", []):
        await assert_same(source, destination, repository, child["digest"], copy)
    for blob in blobs(raw) if "config" in value else []:
        content = await destination.get_blob(copy, blob)
        assert content is not None
        assert digest(content) == blob


async def test_an_index_arrives_with_all_architectures_and_the_same_digests(
    copier: Copier, source: Client, destination: Client
) -> None:
    shared = noise("base", 3 * MIB)
    raw = await source.put_index("copy/index", "1", [[shared, b"amd64"], [shared, b"arm64"]])
    result = await copier.copy_image(at(source, "copy/index:1"), at(destination, "idf-quay.io/index:1"))
    await assert_same(source, destination, "copy/index", "1", "idf-quay.io/index")
    size = len(shared) + 2 * len("amd64") + 2 * len('{"architecture": "amd64", "os": "linux", "of": "1-0"}')
    assert result == CopyResult(digest(raw), size, blobs_mounted=0, blobs_present=1, blobs_uploaded=5)


async def test_indexes_inside_an_index_and_attestations_arrive_too(
    copier: Copier, source: Client, destination: Client
) -> None:
    image = await source.put_image("copy/nested", "image", [b"layer"])
    attestation = await source.put_image("copy/nested", "attestation", [b"in-toto"])
    inner = index_manifest([image, attestation])
    for raw in (image, attestation, inner):
        await source.put_manifest("copy/nested", digest(raw), raw)
    await source.put_manifest("copy/nested", "1", index_manifest([inner, image]))
    await copier.copy_image(at(source, "copy/nested:1"), at(destination, "nested:1"))
    await assert_same(source, destination, "copy/nested", "1", "nested")


async def test_the_tag_is_written_last_and_children_before_their_index(
    copier: Copier, source: Client, front: Server
) -> None:
    raw = await source.put_index("copy/order", "1", [[b"a"], [b"b"]])
    await copier.copy_image(at(source, "copy/order:1"), at(front, "order:1"))
    writes = [seen for seen in front.requests if seen.method in ("POST", "PATCH", "PUT")]
    names = [seen.path.rpartition("/")[2] for seen in writes if "/manifests/" in seen.path]
    assert sorted(names[:2]) == sorted(manifests(raw))
    assert names[2:] == ["1"]
    assert writes[-1].path.endswith("/manifests/1")


async def test_a_copy_that_fails_leaves_no_tag(copier: Copier, source: Client, destination: Client) -> None:
    raw = await source.put_index("copy/broken", "1", [[b"good"], [b"bad"]])

    async def hide(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=404) if request.path.endswith(digest(b"bad")) else None

    async with proxy(source.address, hide) as broken:
        with pytest.raises(NotFound, match=f"copy/broken@{digest(b'bad')}: not found"):
            await copier.copy_image(at(broken, "copy/broken:1"), at(destination, "broken:1"))
    for name in ("1", manifests(raw)[1]):
        assert await destination.get_manifest("broken", name) is None
    await copier.copy_image(at(source, "copy/broken:1"), at(destination, "broken:1"))
    await assert_same(source, destination, "copy/broken", "1", "broken")


async def test_a_second_run_transfers_nothing_and_costs_two_requests(
    source: Client, source_front: Server, front: Server
) -> None:
    raw = await source.put_index("copy/again", "1", [[b"a"], [b"b"]])
    for expected in (None, CopyResult(digest(raw))):
        source_front.requests.clear()
        front.requests.clear()
        async with Transport() as transport:
            result = await Copier(transport).copy_image(
                at(source_front, "copy/again:1"), at(front, "again:1")
            )
        assert expected in (None, result)
    assert [seen.method for seen in source_front.requests + front.requests] == ["HEAD", "HEAD"]


async def test_a_source_by_digest_is_not_even_asked(copier: Copier, source: Client, front: Server) -> None:
    raw = await source.put_image("copy/pinned", "1", [b"layer"])
    await copier.copy_image(at(source, "copy/pinned:1"), at(front, "pinned:1"))
    pinned = Reference.parse(f"nowhere.invalid/pinned@{digest(raw)}")
    assert await copier.copy_image(pinned, at(front, "pinned:1")) == CopyResult(digest(raw))


async def test_a_child_that_the_destination_serves_as_something_else_is_written_again(
    copier: Copier, source: Client, destination: Client, session: aiohttp.ClientSession
) -> None:
    """A registry may remember the bytes of a repository that was deleted, and not what they were."""

    async def forget_media_types(request: web.Request) -> web.StreamResponse | None:
        if request.method != "HEAD" or "/manifests/sha256:" not in request.path:
            return None
        url = f"http://{destination.address}{request.path}"
        async with session.head(url, headers={"Accept": request.headers["Accept"]}) as known:
            found = known.headers["Docker-Content-Digest"]
        return web.Response(headers={"Content-Type": DOCKER_MANIFEST, "Docker-Content-Digest": found})

    await source.put_index("copy/forgotten", "1", [[b"amd64"], [b"arm64"]])
    await copier.copy_image(at(source, "copy/forgotten:1"), at(destination, "forgotten:old"))
    async with proxy(destination.address, forget_media_types) as front, Transport() as transport:
        await Copier(transport).copy_image(at(source, "copy/forgotten:1"), at(front, "forgotten:new"))
        written = [seen.path.rpartition("/")[2] for seen in front.seen("PUT", "/manifests/")]
    assert len(written) == 3  # both architectures and the tag
    assert written[-1] == "new"


async def test_a_tag_that_moved_at_the_source_moves_at_the_destination(
    copier: Copier, source: Client, destination: Client
) -> None:
    for layer in (b"old", b"new"):
        await source.put_image("copy/moved", "1", [layer])
        await copier.copy_image(at(source, "copy/moved:1"), at(destination, "moved:1"))
    await assert_same(source, destination, "copy/moved", "1", "moved")


async def test_a_copy_by_digest_alone_writes_no_tag(
    copier: Copier, source: Client, destination: Client
) -> None:
    raw = await source.put_image("copy/untagged", "1", [b"layer"])
    target = Reference(destination.address, "untagged", digest=digest(raw))
    await copier.copy_image(at(source, "copy/untagged:1"), target)
    assert await destination.get_manifest("untagged", digest(raw)) == raw
    assert await destination.get_manifest("untagged", "1") is None
    with pytest.raises(DigestMismatch, match="the image to copy there has the digest"):
        await copier.copy_image(at(source, "copy/untagged:1"), replace(target, digest=digest(b"other")))


async def test_a_blob_of_a_finished_image_is_mounted_into_the_next_repository(
    copier: Copier, source: Client, destination: Client, front: Server
) -> None:
    shared = noise("shared", 2 * MIB)
    for name in ("one", "two"):
        await source.put_image(f"copy/mount-{name}", "1", [shared, name.encode()])
    await copier.copy_image(at(source, "copy/mount-one:1"), at(front, "mount-one:1"))
    front.requests.clear()
    result = await copier.copy_image(at(source, "copy/mount-two:1"), at(front, "mount-two:1"))
    assert (result.blobs_mounted, result.blobs_uploaded) == (2, 1)  # the configs are the same
    assert result.bytes_transferred == len("two")
    assert len(front.seen("POST", f"mount={digest(shared).replace(':', '%3A')}&from=mount-one")) == 1
    await assert_same(source, destination, "copy/mount-two", "1", "mount-two")


@pytest.mark.parametrize("refusal", [202, 401, 403, 404, 405, 500])
async def test_a_mount_that_is_refused_becomes_an_upload(
    copier: Copier, source: Client, destination: Client, session: aiohttp.ClientSession, refusal: int
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse | None:
        if "mount" not in request.query:
            return None
        headers = {}
        if refusal == 202:  # the registry begins an upload in the mount's place
            async with session.post(f"http://{destination.address}{request.path}") as begun:
                headers = {"Location": begun.headers["Location"]}
        return web.Response(status=refusal, headers=headers)

    for name in ("one", "two"):
        await source.put_image(f"copy/refused-{name}", "1", [b"shared", name.encode()])
    async with proxy(destination.address, refuse) as front:
        await copier.copy_image(at(source, "copy/refused-one:1"), at(front, "refused-one:1"))
        front.requests.clear()
        result = await copier.copy_image(at(source, "copy/refused-two:1"), at(front, "refused-two:1"))
        begun = [seen for seen in front.seen("POST") if "mount" not in seen.query]
    assert (result.blobs_mounted, result.blobs_uploaded) == (0, 3)
    assert len(begun) == (0 if refusal == 202 else 3)
    await assert_same(source, destination, "copy/refused-two", "1", "refused-two")


ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


async def test_nothing_is_mounted_in_ecr_from_an_image_that_is_not_finished(
    source: Client, front: Server
) -> None:
    for name in ("one", "two"):
        await source.put_image(f"copy/unfinished-{name}", "1", [b"shared", name.encode()])

    async def hide(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=404) if request.path.endswith(digest(b"one")) else None

    endpoints = Endpoints({ECR: f"http://{front.address}"})
    async with (
        proxy(source.address, hide) as broken,
        Transport(endpoints=endpoints, retry=IMPATIENT) as transport,
    ):
        copier = Copier(transport)
        with pytest.raises(NotFound):
            await copier.copy_image(
                at(broken, "copy/unfinished-one:1"), Reference.parse(f"{ECR}/unfinished-one:1")
            )
        await copier.copy_image(
            at(source, "copy/unfinished-two:1"), Reference.parse(f"{ECR}/unfinished-two:1")
        )
    assert front.seen("POST", "from=unfinished-one") == []


async def test_a_copy_within_a_registry_moves_no_bytes(
    copier: Copier, source: Client, destination: Client
) -> None:
    await destination.put_image("inside", "1", [noise("inside", 2 * MIB)])
    result = await copier.copy_image(at(destination, "inside:1"), at(destination, "other:1"))
    assert (result.bytes_transferred, result.blobs_mounted) == (0, 2)
    await assert_same(destination, destination, "inside", "1", "other")


async def test_concurrent_copies_share_the_transfer_of_a_blob(
    copier: Copier, source: Client, source_front: Server, front: Server, destination: Client
) -> None:
    shared = noise("concurrent", 3 * MIB)
    tags = [str(number) for number in range(6)]
    for tag in tags:
        await source.put_image("copy/together", tag, [shared, tag.encode()])
    results = await asyncio.gather(
        *[
            copier.copy_image(at(source_front, f"copy/together:{tag}"), at(front, f"together:{tag}"))
            for tag in tags
        ]
    )
    assert len(source_front.seen("GET", digest(shared))) == 1
    assert len(front.seen("PATCH")) == 1
    assert sum(result.blobs_present for result in results) == len(tags) - 1
    for tag in tags:
        await assert_same(source, destination, "copy/together", tag, "together")


async def test_a_blob_that_this_run_brought_is_not_looked_for_again(
    copier: Copier, source: Client, front: Server
) -> None:
    for tag in ("1", "2"):
        await source.put_image("copy/known", tag, [b"shared", tag.encode()])
        await copier.copy_image(at(source, f"copy/known:{tag}"), at(front, f"known:{tag}"))
    assert len(front.seen("POST", digest(b"shared").replace(":", "%3A"))) == 1


async def test_copies_within_one_registry_do_not_wait_for_each_other_for_ever(destination: Client) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=404) if "mount" in request.query else None

    for number in range(4):
        await destination.put_image(f"many-{number}", "1", [noise(f"many{number}", 2 * MIB)])
    async with proxy(destination.address, refuse) as front, Transport(concurrency=1) as transport:
        copier = Copier(transport)
        async with asyncio.timeout(20):
            await asyncio.gather(
                *[copier.copy_image(at(front, f"many-{n}:1"), at(front, f"copied-{n}:1")) for n in range(4)]
            )
    for number in range(4):
        await assert_same(destination, destination, f"many-{number}", "1", f"copied-{number}")


async def test_a_blob_that_breaks_off_is_transferred_anew(
    copier: Copier, source: Client, destination: Client
) -> None:
    content = noise("cut", 4 * MIB)
    await source.put_image("copy/cut", "1", [content])

    async def cut(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith(digest(content)) or len(broken.seen("GET", digest(content))) > 1:
            return None
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[: 2 * MIB])
        assert request.transport is not None
        request.transport.close()
        return response

    async with proxy(source.address, cut) as broken:
        result = await copier.copy_image(at(broken, "copy/cut:1"), at(destination, "cut:1"))
        assert len(broken.seen("GET", digest(content))) == 2
    assert result.blobs_uploaded == 2
    assert result.bytes_transferred > len(content)
    await assert_same(source, destination, "copy/cut", "1", "cut")


async def test_the_tries_of_a_blob_are_bounded(copier: Copier, source: Client, destination: Client) -> None:
    content = noise("dead", 2 * MIB)
    await source.put_image("copy/dead", "1", [content])

    async def fail(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=500) if request.path.endswith(digest(content)) else None

    async with proxy(source.address, fail) as broken:
        with pytest.raises(Unavailable, match=f"copy/dead@{digest(content)}"):
            await copier.copy_image(at(broken, "copy/dead:1"), at(destination, "dead:1"))
        assert len(broken.seen("GET", digest(content))) == IMPATIENT.tries
    assert await destination.get_manifest("dead", "1") is None


async def test_a_destination_that_is_down_is_not_tried_tries_times_tries(
    copier: Copier, source: Client, destination: Client
) -> None:
    await source.put_image("copy/down", "1", [])

    async def fail(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=500) if "/blobs/" in request.path else None

    async with proxy(destination.address, fail) as front:
        with pytest.raises(Unavailable):
            await copier.copy_image(at(source, "copy/down:1"), at(front, "down:1"))
        assert len(front.seen("HEAD", "/blobs/")) == IMPATIENT.tries


@pytest.mark.parametrize("size", [MIB, 3 * MIB])
async def test_a_blob_with_other_content_than_its_digest_never_arrives(
    copier: Copier, source: Client, destination: Client, size: int
) -> None:
    content = noise("forged", size)
    await source.put_image("copy/forged", "1", [content])

    async def forge(request: web.Request) -> web.StreamResponse | None:
        forged = content[:-1] + bytes([content[-1] ^ 1])
        return web.Response(body=forged) if request.path.endswith(digest(content)) else None

    async with proxy(source.address, forge) as forger, proxy(destination.address) as front:
        with pytest.raises(DigestMismatch, match=digest(content)):
            await copier.copy_image(at(forger, "copy/forged:1"), at(front, "forged:1"))
        assert front.seen("PUT", "digest=" + digest(content).replace(":", "%3A")) == []
    assert await destination.get_manifest("forged", "1") is None


@pytest.mark.parametrize(("status", "error"), [(403, Denied), (413, RegistryError), (500, Unavailable)])
async def test_an_upload_that_is_refused_while_the_source_hangs_ends_at_once(
    source: Client, destination: Client, status: int, error: type[RegistryError]
) -> None:
    content = noise("hanging", 4 * MIB)
    await source.put_image("copy/hanging", "1", [content])
    hanging = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith(digest(content)):
            return None
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:MIB])
        hanging.set()
        await asyncio.Event().wait()
        return response

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        await hanging.wait()
        return web.Response(status=status)

    async with (
        proxy(source.address, hang) as slow,
        proxy(destination.address, refuse) as front,
        Transport(retry=IMPATIENT, concurrency=1) as transport,
        asyncio.timeout(10),
    ):
        copier = Copier(transport)
        with pytest.raises(error, match=f"HTTP {status}"):
            await copier.copy_image(at(slow, "copy/hanging:1"), at(front, "hanging:1"))
        await source.put_image("copy/after", "1", [b"layer"])
        await copier.copy_image(at(slow, "copy/after:1"), at(front, "after:1"))  # all slots are free


async def test_an_upload_whose_last_answer_is_lost_is_found_and_not_repeated(
    copier: Copier, source: Client, destination: Client
) -> None:
    content = noise("lost", 3 * MIB)
    await source.put_image("copy/lost", "1", [content])
    lost: list[web.Request] = []

    async def lose(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PUT" or digest(content)[7:] not in request.path_qs or lost:
            return None
        lost.append(request)
        async with (
            aiohttp.ClientSession() as session,
            session.put(f"http://{destination.address}{request.raw_path}") as stored,
        ):
            assert stored.status == 201
        return web.Response(status=502)

    async with proxy(destination.address, lose) as front:
        await copier.copy_image(at(source, "copy/lost:1"), at(front, "lost:1"))
        assert len(front.seen("PATCH")) == 1
    await assert_same(source, destination, "copy/lost", "1", "lost")


async def test_layers_that_must_not_be_distributed_stay_where_they_are(
    copier: Copier, source: Client, destination: Client
) -> None:
    await source.put_blob("copy/foreign", b"config")
    manifest = json.loads(image_manifest(b"config", [], DOCKER_MANIFEST))
    manifest["layers"] = [{**descriptor(b"windows", FOREIGN), "urls": ["https://example.com/layer"]}]
    await source.put_manifest("copy/foreign", "1", json.dumps(manifest).encode())
    result = await copier.copy_image(at(source, "copy/foreign:1"), at(destination, "foreign:1"))
    assert result.blobs_uploaded == 1
    assert await destination.get_manifest("foreign", "1") == json.dumps(manifest).encode()
    assert await destination.get_blob("foreign", digest(b"windows")) is None


def serving_manifests(*raws: bytes) -> Handler:
    """A registry of nothing but manifests; the tag is the last one."""

    async def handler(request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        raw = next((raw for raw in raws if digest(raw) == name), raws[-1])
        headers = {"Content-Type": json.loads(raw)["mediaType"], "Docker-Content-Digest": digest(raw)}
        return web.Response(body=raw, headers=headers)

    return handler


async def test_indexes_may_nest_four_deep_and_no_deeper(copier: Copier, destination: Client) -> None:
    await destination.put_image("deep", "x", [])
    levels = [image_manifest(b'{"architecture": "amd64", "os": "linux", "of": "x"}', [])]
    for _ in range(5):
        levels.append(index_manifest([levels[-1]]))
    async with serving(serving_manifests(*levels[:-1])) as server:
        await copier.copy_image(at(server, "deep:1"), at(destination, "deep:1"))
    assert await destination.get_manifest("deep", "1") == levels[-2]
    async with serving(serving_manifests(*levels)) as server:
        with pytest.raises(InvalidManifest, match="nest deeper than 4"):
            await copier.copy_image(at(server, "deep:1"), at(destination, "deeper:1"))
    assert await destination.get_manifest("deeper", "1") is None


async def test_an_index_that_claims_to_contain_itself_is_refused(copier: Copier, destination: Client) -> None:
    pretended = digest(b"pretended")
    child = {"mediaType": OCI_INDEX, "digest": pretended, "size": 1}
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=raw, headers={"Docker-Content-Digest": pretended, "Content-Type": OCI_INDEX})

    async with serving(handler) as server:
        with pytest.raises(DigestMismatch, match=digest(raw)):
            await copier.copy_image(at(server, "circle:1"), at(destination, "circle:1"))
        assert len(server.requests) == WRONG_CONTENT


async def test_a_large_blob_takes_little_memory(copier: Copier, destination: Client) -> None:
    block, count = noise("block", MIB), 200
    hasher = hashlib.sha256()
    for _ in range(count):
        hasher.update(block)
    large = {"mediaType": LAYER, "digest": f"sha256:{hasher.hexdigest()}", "size": count * MIB}
    manifest = {**json.loads(image_manifest(b"config", [])), "layers": [large]}
    raw = json.dumps(manifest).encode()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/manifests/1"):
            headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": digest(raw)}
            return web.Response(body=raw, headers=headers)
        if request.path.endswith(digest(b"config")):
            return web.Response(body=b"config")
        if not request.path.endswith(str(large["digest"])):
            return web.Response(status=404)
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(count):
            await response.write(block)
        return response

    async with serving(handler) as server:
        tracemalloc.start()
        result = await copier.copy_image(at(server, "large:1"), at(destination, "large:1"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert result.bytes_transferred == count * MIB + len(b"config")
    assert peak < 40 * MIB
    assert await destination.get_manifest("large", "1") == raw
