"""Builds on this machine, with the package `building`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from ..building import BuildContext, BuildError, BuildSettings, Phase
from ..building.errors import CancelledBuildError
from ..building.registries import target_of
from ..building.service import Builder as ImageBuilder
from ..building.settings import Limits
from ..ecr.clients import s3_client
from ..ecr.logins import EcrLogins
from ..ecr.repositories import EcrRepositories
from ..service_settings import ServiceSettings
from ..shared.endpoints import Endpoints
from ..shared.inventory import load_inventory
from ..uploads import UploadStore
from ..uploads.errors import UploadNotFoundError
from ..waiting import to_its_end
from .builder import BuildCancelledError, Builder, BuildFailedError, Built, Order, Progress
from .job import Status

QUICK = 0.05  # seconds; a phase that is over sooner is not written down


class LocalBuilder(Builder):
    """Has images built on this machine; an asynchronous context manager that owns the connections."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = build_settings(settings)
        self._images = ImageBuilder(self._settings)
        self._repositories = EcrRepositories(settings.ecr_tags)
        self._uploads = UploadStore.of(settings)

    async def __aenter__(self) -> Self:
        await self._images.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._images.__aexit__(kind, error, trace)

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        """Build and push one image."""
        try:
            known = await self._pushed_before(order, cancel)
            return known or await self._built(order, progress, cancel)
        except CancelledBuildError:
            raise BuildCancelledError from None
        except BuildError as error:
            raise BuildFailedError(str(error)) from None

    async def _pushed_before(self, order: Order, cancel: asyncio.Event) -> Built | None:
        """What an earlier attempt has pushed, so that no other digest follows it."""
        if order.built_digest is None:
            return None
        manifest = await self._images.pushed(order.request, cancel)
        if manifest is None or manifest.digest != order.built_digest:
            return None
        return Built(manifest.digest, len(manifest.raw) + sum(blob.size for blob in manifest.blobs))

    async def _built(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        phases = _Phases(progress)

        async def before_push() -> None:
            if order.request.registry is None:  # nobody else's registry is the service's to change
                await self._repositories.ensure(target_of(order.request, self._settings))

        async with self._lent(order) as files:
            context = BuildContext(files, phases.reached, before_push, phases.pushing)
            try:
                result = await self._images.build(
                    order.request, context, lambda line: progress.log(f"{line}\n"), cancel
                )
            finally:
                await phases.written()
        return Built(result.digest, result.size)

    @asynccontextmanager
    async def _lent(self, order: Order) -> AsyncIterator[Path | None]:
        """The uploads that an order uses, which nobody can remove meanwhile."""
        if not order.request.digests:
            yield None
            return
        lent = self._uploads.lent(order.owner_id, order.request.digests)
        try:
            folder = await to_its_end(asyncio.to_thread(lent.__enter__))
        except UploadNotFoundError as error:
            raise BuildFailedError(str(error)) from None
        try:
            yield folder
        finally:
            await to_its_end(asyncio.to_thread(lent.__exit__, None, None, None))


class _Phases:
    """Writes down how far a build is while it goes on; phases that pass quickly are left out."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._latest: Status | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def reached(self, phase: Phase) -> None:
        """The build is in this phase; the last one is told by `pushing`."""
        if phase is not Phase.PUSHING:
            self._latest = Status[phase.name]
            if self._soon is None:
                self._soon = asyncio.get_running_loop().call_later(QUICK, self._begin)

    async def pushing(self, digest: str) -> None:
        """The image's tag is about to be written; the job has to be ours still.

        Raises:
            LostLeaseError: it is not.
        """
        await self.written()
        await self._progress.advance(Status.PUSHING, digest)

    async def written(self) -> None:
        """Wait until nothing is being written any more; what was not begun is left out."""
        self._latest = None
        if self._soon is not None:
            self._soon.cancel()
        if self._writing is not None:
            await self._writing

    def _begin(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        self._soon = None

    async def _write(self) -> None:
        while self._latest is not None:
            status, self._latest = self._latest, None
            await self._progress.advance(status)


def build_settings(settings: ServiceSettings) -> BuildSettings:
    """What the builder needs of the service's settings; reads the inventory.

    Raises:
        UserError: the inventory cannot be read.
    """
    for folder in (settings.work_dir, settings.cache_dir):
        folder.mkdir(parents=True, exist_ok=True)
    endpoints = Endpoints.from_json(settings.registry_endpoints)
    images = _inventory(settings.inventory)
    return BuildSettings(
        work=settings.work_dir,
        cache=settings.cache_dir,
        cache_size=settings.cache_bytes,
        registry=settings.registry,
        workers=settings.job_workers,
        bases=settings.bases,
        images=images,
        endpoints=endpoints,
        allowed_hosts=frozenset(settings.allowed_hosts),
        credentials=EcrLogins(_registries(settings, images), endpoints),
        network=settings.build_network,
        limits=Limits(
            seconds=settings.job_timeout.total_seconds(),
            memory=settings.build_memory_bytes,
            disk=settings.build_disk_bytes,
        ),
    )


def _registries(settings: ServiceSettings, images: Mapping[str, str]) -> set[str]:
    """Hosts that the administrator has named: of the service's registry, named bases, private copies."""
    references = [*settings.bases.values(), *images.values()]
    if settings.registry:
        references.append(settings.registry.prefix)
    return {reference.partition("/")[0].lower() for reference in references}


def _inventory(place: str | None) -> Mapping[str, str]:
    """Public references and their private copies, from an inventory of replication: a file, or in S3."""
    if place is None:
        return {}
    if place.startswith("s3://"):
        return load_inventory(s3_client(), place).images
    images: dict[str, str] = json.loads(Path(place).read_text("utf-8")).get("images", {})
    return images
