"""What is attached to an image comes along: referrers and cosign's tags, with their digests."""

import asyncio
import itertools
import json
from collections.abc import Sequence

import pytest
from dockerimage_replication.oci.attached import schema_tag
from dockerimage_replication.oci.copy import Copier, CopyResult
from dockerimage_replication.oci.errors import InvalidManifest
from dockerimage_replication.oci.manifests import OCI_INDEX, OCI_MANIFEST
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints
from registry_doubles.ecr import Ecr, Rate
from registry_doubles.exchange import Forward, Reply, Request, Rule
from registry_doubles.proxy import Proxy
from registry_doubles.referrers import Referrers

from .support import IMPATIENT, Client, digest, image_manifest, index_manifest

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"attached-{next(numbers)}"


def referrer(subject: bytes, of: str) -> bytes:
    manifest = json.loads(image_manifest(b"{}", [of.encode()]))
    kind = json.loads(subject)["mediaType"]
    manifest["subject"] = {"mediaType": kind, "digest": digest(subject), "size": len(subject)}
    return json.dumps(manifest).encode()


async def put_referrer(place: Client, name: str, subject: bytes, of: str) -> bytes:
    raw = referrer(subject, of)
    for blob in (b"{}", of.encode()):
        await place.put_blob(name, blob)
    await place.put_manifest(name, digest(raw), raw)
    return raw


async def list_by_tag(place: Client, name: str, subject: bytes, entries: Sequence[bytes]) -> None:
    """The list of a registry without the API."""
    await place.put_manifest(name, schema_tag(digest(subject)), index_manifest(list(entries)))


async def copied(
    near: Proxy, far: Proxy, name: str, *, registry: str = "", refresh: bool = False, tag: str = "1"
) -> CopyResult:
    endpoints = Endpoints({registry: f"http://{far.address}"}) if registry else None
    async with Transport(retry=IMPATIENT, endpoints=endpoints) as transport, asyncio.timeout(60):
        return await Copier(transport).copy_image(
            Reference.parse(f"{near.address}/{name}:{tag}"),
            Reference.parse(f"{registry or far.address}/{name}:{tag}"),
            refresh=refresh,
        )


@pytest.fixture
def world(source: Client, destination: Client) -> tuple[Client, Client]:
    return source, destination


@pytest.mark.parametrize("source_has_api", [True, False])
@pytest.mark.parametrize("destination_has_api", [True, False])
async def test_referrers_of_an_index_its_children_and_of_referrers(
    world: tuple[Client, Client], name: str, source_has_api: bool, destination_has_api: bool
) -> None:
    source, destination = world
    near_rules: list[Rule] = [Referrers(page=1)] if source_has_api else []
    far_rules: list[Rule] = [Referrers()] if destination_has_api else []
    with Proxy(source.address, near_rules) as near, Proxy(destination.address, far_rules) as far:
        front = Client(source._session, near.address)
        root = await front.put_index(name, "1", [[b"amd64"], [b"arm64"]])
        child = await front.get_manifest(name, json.loads(root)["manifests"][0]["digest"])
        assert child is not None
        tree = {root: ["sbom", "scan"], child: ["child"]}
        all_of_them = {
            subject: [await put_referrer(front, name, subject, of) for of in names]
            for subject, names in tree.items()
        }
        sbom = all_of_them[root][0]
        all_of_them[sbom] = [await put_referrer(front, name, sbom, "signature of the sbom")]
        if not source_has_api:
            for subject, referrers in all_of_them.items():
                await list_by_tag(front, name, subject, referrers)
        result = await copied(near, far, name)
        for subject, referrers in all_of_them.items():
            for raw in referrers:
                assert await destination.get_manifest(name, digest(raw)) == raw
            listed = await destination.get_manifest(name, schema_tag(digest(subject)))
            assert (listed is None) == destination_has_api
            if listed:
                entries = {entry["digest"] for entry in json.loads(listed)["manifests"]}
                assert entries == set(map(digest, referrers))
    assert await destination.get_manifest(name, "1") == root
    assert len(result.attached) == 4


async def test_signatures_attestations_and_sboms_of_cosign(world: tuple[Client, Client], name: str) -> None:
    source, destination = world
    root = await source.put_index(name, "1", [[b"amd64"]])
    child = json.loads(root)["manifests"][0]["digest"]
    tags = [schema_tag(of) + suffix for of in (digest(root), child) for suffix in (".sig", ".att", ".sbom")]
    put = {tag: await source.put_image(name, tag, [tag.encode()]) for tag in tags}
    await source.put_image(name, schema_tag(digest(b"other")) + ".sig", [b"of another image"])
    with Proxy(source.address) as near, Proxy(destination.address) as far:
        result = await copied(near, far, name)
        assert len(near.recording.seen("GET", "/tags/list")) == 1
    assert sorted(result.attached) == sorted(tags)
    for tag, raw in put.items():
        assert await destination.get_manifest(name, tag) == raw


async def no_list(request: Request, forward: Forward) -> Reply:
    if "/tags/list" in request.path:
        return Reply.error(403, "DENIED", "no list for you")
    return await forward(request)


async def test_a_source_that_lists_no_tags_is_asked_for_each_and_for_the_list_once(
    world: tuple[Client, Client], name: str
) -> None:
    source, destination = world
    root = await source.put_index(name, "1", [[b"amd64"], [b"arm64"]])
    signature = schema_tag(digest(root)) + ".sig"
    await source.put_image(name, signature, [b"signature"])
    with Proxy(source.address, [no_list]) as near, Proxy(destination.address) as far:
        assert (await copied(near, far, name)).attached == (signature,)
        assert len(near.recording.seen("GET", "/tags/list")) == 1


async def test_a_signature_that_came_later_is_brought_when_asked_for_and_only_then(
    world: tuple[Client, Client], name: str
) -> None:
    source, destination = world
    root = await source.put_image(name, "1", [b"layer"])
    signature = schema_tag(digest(root)) + ".sig"
    with Proxy(source.address) as near, Proxy(destination.address) as far:
        await copied(near, far, name)
        await source.put_image(name, signature, [b"signature"])
        assert (await copied(near, far, name)).attached == ()
        assert await destination.get_manifest(name, signature) is None
        assert (await copied(near, far, name, refresh=True)).attached == (signature,)
    assert await destination.get_manifest(name, signature) is not None


async def test_what_is_there_is_not_written_again_where_tags_are_immutable(
    world: tuple[Client, Client], name: str
) -> None:
    """The image itself is there before what is attached to it: others may wait for its blobs."""
    source, destination = world
    root = await source.put_image(name, "1", [b"layer"])
    await source.put_manifest(name, "2", root)
    signature = schema_tag(digest(root)) + ".sig"
    await source.put_image(name, signature, [b"signature"])
    rule = Ecr(immutable=True, put_image=Rate(1000))
    with Proxy(source.address) as near, Proxy(destination.address, [rule]) as far:
        await copied(near, far, name, registry=ECR)
        written = [seen.target.rpartition("/")[2] for seen in far.recording.seen("PUT", "/manifests/")]
        assert written == [digest(root), signature, "1"]
        assert (await copied(near, far, name, registry=ECR, tag="2")).attached == (signature,)
        assert (await copied(near, far, name, registry=ECR, refresh=True)).attached == (signature,)


async def test_one_repository_that_refuses_the_api_says_nothing_of_another(
    world: tuple[Client, Client], name: str
) -> None:
    source, destination = world

    async def refuse(request: Request, forward: Forward) -> Reply:
        if f"/{name}-closed/referrers/" in request.path:
            return Reply.error(403, "DENIED", "not this one")
        return await forward(request)

    with Proxy(source.address, [refuse, Referrers()]) as near, Proxy(destination.address) as far:
        front = Client(source._session, near.address)
        await front.put_image(f"{name}-closed", "1", [b"closed"])
        root = await front.put_image(name, "1", [b"open"])
        raw = await put_referrer(front, name, root, "sbom")
        async with Transport(retry=IMPATIENT) as transport:
            copier = Copier(transport)
            for one in (f"{name}-closed", name):
                place = Reference.parse(f"{far.address}/{one}:1")
                result = await copier.copy_image(Reference.parse(f"{near.address}/{one}:1"), place)
        assert result.attached == (digest(raw),)


@pytest.mark.parametrize("status", [400, 404, 405, 501])
async def test_a_registry_without_the_api_may_say_so_in_any_way(
    world: tuple[Client, Client], name: str, status: int
) -> None:
    source, destination = world

    async def refuse(request: Request, forward: Forward) -> Reply:
        return Reply.of(status) if "/referrers/" in request.path else await forward(request)

    root = await source.put_image(name, "1", [b"layer"])
    await list_by_tag(source, name, root, [raw := await put_referrer(source, name, root, "sbom")])
    with Proxy(source.address, [refuse]) as near, Proxy(destination.address) as far:
        assert (await copied(near, far, name)).attached == (digest(raw),)


def entries(count: int) -> bytes:
    listed = [
        {"mediaType": OCI_MANIFEST, "digest": digest(str(number).encode()), "size": 1}
        for number in range(count)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        (b"<html>", "makes no sense"),
        (b"[" * 10_000, "makes no sense"),
        (b'{"manifests": 5}', "makes no sense"),
        (b'{"manifests": [{"digest": "x", "mediaType": "y", "size": 1}]}', "makes no sense"),
        (entries(1)[:-3] + b', "size": Infinity}]}', "makes no sense"),
        (entries(10_000), "more than 1000 attached"),
    ],
    ids=["html", "deep", "no list", "no digest", "no size", "10,000 entries"],
)
async def test_a_hostile_list_fails_its_image_and_leaves_no_tag(
    world: tuple[Client, Client], name: str, forged: bytes, message: str
) -> None:
    source, destination = world
    root = await source.put_image(name, "1", [b"layer"])
    rule = Referrers(forged={digest(root): forged})
    with (
        Proxy(source.address, [rule]) as near,
        Proxy(destination.address) as far,
        pytest.raises(InvalidManifest, match=message),
    ):
        await copied(near, far, name)
    assert await destination.get_manifest(name, "1") is None


async def test_referrers_that_refer_to_each_other_in_a_circle_come_once(
    world: tuple[Client, Client], name: str
) -> None:
    source, destination = world
    root = await source.put_image(name, "1", [b"layer"])
    first = await put_referrer(source, name, root, "first")
    second = await put_referrer(source, name, first, "second")
    forged = {
        digest(root): index_manifest([first]),
        digest(first): index_manifest([second]),
        digest(second): index_manifest([first, root]),
    }
    with Proxy(source.address, [Referrers(forged=forged)]) as near, Proxy(destination.address) as far:
        await copied(near, far, name)
        assert len(near.recording.seen("GET", "/referrers/")) == 3
    for raw in (root, first, second):
        assert await destination.get_manifest(name, digest(raw)) == raw
