"""The builder of this machine: no attempt pushes what another attempt has pushed in another version."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from image_builder.jobs.builder import BuildCancelledError, Order
from image_builder.jobs.job import Status
from image_builder.jobs.local_builder import LocalBuilder, build_settings
from image_builder.jobs.store import LostLeaseError
from image_builder.layers.request import ImageRequest, Registry
from image_builder.service_settings import read_settings

from .registries import docker_registry, image_config


@dataclass
class Recorded:
    """What the builder reports; `lost` is what the database says of the lease."""

    lost: bool = False
    reached: list[tuple[Status, str | None]] = field(default_factory=list)

    def log(self, text: str) -> None:
        pass

    async def advance(self, status: Status, digest: str | None = None) -> None:
        if self.lost:
            raise LostLeaseError("another worker has it")
        self.reached.append((status, digest))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as address:
        yield address


@pytest_asyncio.fixture
async def builder(environment: dict[str, str], registry: str) -> AsyncIterator[LocalBuilder]:
    variables = {**environment, "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team"}
    async with LocalBuilder(read_settings(variables)) as builder:
        yield builder


def order(registry: str, greeting: str, built_digest: str | None = None) -> Order:
    layers = [
        {"layer_type": "stage", "base": "scratch"},
        {"layer_type": "cmd", "command": ["/hello", greeting]},
    ]
    request = ImageRequest.model_validate({"name": "hello", "layers": layers})
    target = Registry(registry_url=f"http://{registry}/v2/team")
    return Order(uuid.uuid4(), request, target, built_digest, uuid.uuid4())


def test_builds_have_the_limits_that_the_administrator_sets(environment: dict[str, str]) -> None:
    variables = {
        **environment,
        "DCRX_KV_JOB_TIMEOUT": "2m",
        "DCRX_KV_BUILD_MEMORY_BYTES": "1000",
        "DCRX_KV_BUILD_DISK_BYTES": "2000",
    }
    limits = build_settings(read_settings(variables)).limits

    assert (limits.seconds, limits.memory, limits.disk) == (120.0, 1000, 2000)


async def test_what_an_earlier_attempt_has_pushed_is_not_replaced(
    builder: LocalBuilder, registry: str
) -> None:
    first = await builder.build(order(registry, "first"), Recorded(), asyncio.Event())

    again = await builder.build(order(registry, "other", first.digest), Recorded(), asyncio.Event())

    assert again == first
    assert image_config(registry, "team/hello", "latest")[0] == first.digest


async def test_what_an_earlier_attempt_has_only_built_is_built_again(
    builder: LocalBuilder, registry: str
) -> None:
    progress = Recorded()

    built = await builder.build(order(registry, "hello", f"sha256:{'0' * 64}"), progress, asyncio.Event())

    assert image_config(registry, "team/hello", "latest")[0] == built.digest
    assert progress.reached[-1] == (Status.PUSHING, built.digest)


async def test_a_repeated_attempt_is_cancelled_while_its_registry_says_nothing(
    environment: dict[str, str],
) -> None:
    asked = asyncio.Event()

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()  # until the other end has gone
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    variables = {**environment, "DOCKER_REGISTRY_URI": f"http://{address}/v2/team"}
    cancel = asyncio.Event()
    async with server, LocalBuilder(read_settings(variables)) as builder:
        repeated = order(address, "hello", f"sha256:{'0' * 64}")
        building = asyncio.create_task(builder.build(repeated, Recorded(), cancel))
        await asyncio.wait_for(asked.wait(), 60)
        cancel.set()
        with pytest.raises(BuildCancelledError):
            await building


class LostWhilePushing(Recorded):
    """The database was away while the blobs went; another worker has the job since."""

    async def advance(self, status: Status, digest: str | None = None) -> None:
        await super().advance(status, digest)
        self.lost = status is Status.PUSHING


async def test_a_lease_that_is_lost_while_blobs_go_leaves_the_tag_alone(
    builder: LocalBuilder, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_builder.building.push.ASKED_AGAIN_AFTER", 0.0)
    first = await builder.build(order(registry, "first"), Recorded(), asyncio.Event())

    with pytest.raises(LostLeaseError):
        await builder.build(order(registry, "late"), LostWhilePushing(), asyncio.Event())

    assert image_config(registry, "team/hello", "latest")[0] == first.digest


async def test_without_the_lease_nothing_is_pushed(builder: LocalBuilder, registry: str) -> None:
    first = await builder.build(order(registry, "first"), Recorded(), asyncio.Event())

    with pytest.raises(LostLeaseError):
        await builder.build(order(registry, "late"), Recorded(lost=True), asyncio.Event())

    assert image_config(registry, "team/hello", "latest")[0] == first.digest
