"""A job's lease is looked at while its blobs are sent; the tag waits for both."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from image_builder.building.errors import PushError
from image_builder.building.push import NewBlob, push
from image_builder.jobs.job import Status
from image_builder.jobs.local_builder import LocalBuilder
from image_builder.oci.digest import digest_of
from image_builder.oci.errors import RegistryError
from image_builder.oci.manifests import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest
from image_builder.oci.reference import Reference
from image_builder.oci.transport import Transport
from image_builder.service_settings import read_settings

from .registries import docker_registry, image_config
from .running import comes_true
from .test_local_builder import Recorded, order


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as address:
        yield address


@pytest_asyncio.fixture
async def builder(environment: dict[str, str], registry: str) -> AsyncIterator[LocalBuilder]:
    variables = {**environment, "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team"}
    async with LocalBuilder(read_settings(variables)) as builder:
        yield builder


class WaitsForBlobs(Recorded):
    """A database that answers when the registry has a blob of the image."""

    def __init__(self, repository: Path) -> None:
        super().__init__()
        self.repository = repository
        self.tags: list[Path] = []

    async def advance(self, status: Status, digest: str | None = None) -> None:
        if status is Status.PUSHING:
            assert await comes_true(lambda: any(self.repository.glob("_layers/sha256/*/link")))
            self.tags = list(self.repository.glob("_manifests/tags/*"))
        await super().advance(status, digest)


async def test_blobs_go_while_the_database_is_asked_and_the_tag_waits(
    builder: LocalBuilder, registry: str, tmp_path: Path
) -> None:
    progress = WaitsForBlobs(
        tmp_path / "registry" / "data" / "docker" / "registry" / "v2" / "repositories" / "team" / "hello"
    )

    built = await builder.build(order(registry, "hello"), progress, asyncio.Event())

    assert progress.tags == []
    assert progress.reached[-1] == (Status.PUSHING, built.digest)
    assert image_config(registry, "team/hello", "latest")[0] == built.digest


async def test_a_blob_that_is_refused_does_not_break_off_what_is_written_of_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = asyncio.Event()
    written = []

    async def refuse(*_: object) -> None:
        refused.set()
        raise RegistryError("no room")

    async def write() -> None:
        await refused.wait()
        for _ in range(10):  # turns of the loop, in which a cancellation would come
            await asyncio.sleep(0)
        written.append("the log")

    monkeypatch.setattr("image_builder.building.push._ensure", refuse)
    target = Reference("127.0.0.1:5000", "team/hello", "latest")
    blob = NewBlob(Descriptor(OCI_CONFIG, digest_of(b"{}"), 2), b"{}")
    manifest = Manifest(OCI_MANIFEST, b"{}", digest_of(b"{}"), (), (blob.descriptor,))
    async with Transport() as transport:
        with pytest.raises(PushError, match="no room"):
            await push(transport, target, manifest, [blob], write)

    assert written == ["the log"]
