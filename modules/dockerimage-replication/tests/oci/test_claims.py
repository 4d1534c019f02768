"""Images that share layers, side by side: each blob comes and goes once, and nobody waits in a circle."""

import asyncio
import itertools
from collections import Counter

import pytest
from dockerimage_replication.oci.copy import Copier
from dockerimage_replication.oci.errors import NotFound, RegistryError
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.shared.endpoints import Endpoints
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_doubles.ecr import Ecr, Rate
from registry_doubles.exchange import Forward, Reply, Request, Rule
from registry_doubles.proxy import Proxy

from .support import IMPATIENT, Client, digest

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
numbers = itertools.count()


async def copy_all(near: Proxy, far: Proxy, names: list[str], *, is_ecr: bool) -> list[BaseException | None]:
    """Copy all at once; what became of each. An image that waits for ever is a TimeoutError."""
    registry = ECR if is_ecr else far.address
    endpoints = Endpoints({ECR: f"http://{far.address}"})
    async with Transport(retry=IMPATIENT, endpoints=endpoints) as transport, asyncio.timeout(60):
        copier = Copier(transport)
        copies = [
            copier.copy_image(
                Reference.parse(f"{near.address}/{name}:1"), Reference.parse(f"{registry}/copy/{name}:1")
            )
            for name in names
        ]
        results = await asyncio.gather(*copies, return_exceptions=True)
    return [result if isinstance(result, BaseException) else None for result in results]


def behind(is_ecr: bool) -> list[Rule]:
    return [Ecr(put_image=Rate(1000))] if is_ecr else []


@pytest.mark.parametrize("is_ecr", [False, True])
async def test_thirty_images_that_share_layers_bring_each_blob_once(
    source: Client, destination: Client, is_ecr: bool
) -> None:
    names = [f"claims-{is_ecr}-{number}".lower() for number in range(30)]
    for number, name in enumerate(names):
        await source.put_image(name, "1", [b"base", b"runtime %d" % (number % 3), name.encode()])
    with Proxy(source.address) as near, Proxy(destination.address, behind(is_ecr)) as far:
        assert await copy_all(near, far, names, is_ecr=is_ecr) == [None] * 30
        blobs = Counter(seen.target.rpartition("/")[2] for seen in near.recording.seen("GET", "/blobs/"))
        stored = [seen for seen in far.recording.seen("PUT", "/blobs/uploads/") if seen.status == 201]
    assert set(blobs.values()) == {1}
    assert len(stored) == len(blobs) == 30 + 3 + 1 + 1  # own, runtimes, base, and the config of all
    for name in names:
        assert await destination.get_manifest(f"copy/{name}", "1") == await source.get_manifest(name, "1")


@pytest.mark.parametrize("is_ecr", [False, True])
async def test_when_the_one_who_brings_a_blob_fails_the_others_bring_it(
    source: Client, destination: Client, is_ecr: bool
) -> None:
    names = [f"handover-{is_ecr}-{number}".lower() for number in range(5)]
    for name in names:
        await source.put_image(name, "1", [b"handed over", name.encode()])

    async def hide(request: Request, forward: Forward) -> Reply:
        if request.path.endswith(digest(names[0].encode())):
            return Reply.error(404, "BLOB_UNKNOWN", "gone")
        return await forward(request)

    with Proxy(source.address, [hide]) as near, Proxy(destination.address, behind(is_ecr)) as far:
        first, *others = await copy_all(near, far, names, is_ecr=is_ecr)
    assert isinstance(first, NotFound)
    assert others == [None] * 4


@given(
    st.lists(
        st.lists(st.sets(st.integers(0, 5), max_size=4), min_size=1, max_size=3), min_size=2, max_size=6
    ),
    st.sets(st.integers(0, 5), max_size=1),
    st.booleans(),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_waits_in_a_circle(
    source_address: str, images: list[list[set[int]]], missing: set[int], is_ecr: bool
) -> None:
    """Any indexes over a few shared layers, with and without one that the source has lost."""
    prefix = f"circle-{next(numbers)}"
    lost = {digest(f"{prefix} {layer}".encode()) for layer in missing}

    async def hide(request: Request, forward: Forward) -> Reply:
        if request.path.rpartition("/")[2] in lost:
            return Reply.error(404, "BLOB_UNKNOWN", "gone")
        return await forward(request)

    async def work() -> None:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            source = Client(session, source_address)
            names = [f"{prefix}/{number}" for number in range(len(images))]
            for name, children in zip(names, images, strict=True):
                layers = [[f"{prefix} {layer}".encode() for layer in sorted(child)] for child in children]
                await source.put_index(name, "1", layers)
            with Proxy(source_address, [hide]) as near, Proxy(source_address, behind(is_ecr)) as far:
                # The same registry behind both: what counts here is who waits for whom.
                results = await copy_all(near, far, names, is_ecr=is_ecr)
            for result in results:
                assert result is None or isinstance(result, RegistryError)

    asyncio.run(work())
