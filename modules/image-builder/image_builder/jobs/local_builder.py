"""Builds on this machine, with the package `building`."""

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from ..building import BuildContext, BuildError, BuildSettings, Phase
from ..building.errors import CancelledBuildError
from ..building.service import Builder as ImageBuilder
from ..building.settings import Limits
from ..service_settings import ServiceSettings
from ..shared.endpoints import Endpoints
from .builder import BuildCancelledError, Builder, BuildFailedError, Built, Order, Progress
from .job import Status


class LocalBuilder(Builder):
    """Has images built on this machine; an asynchronous context manager that owns the connections."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._images = ImageBuilder(build_settings(settings))

    async def __aenter__(self) -> Self:
        await self._images.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._images.__aexit__(kind, error, trace)

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        """Build and push one image."""
        phases = _Phases(progress)
        context = BuildContext(on_phase=phases.reached)
        try:
            result = await self._images.build(
                order.request, context, lambda line: progress.log(f"{line}\n"), cancel
            )
        except CancelledBuildError:
            raise BuildCancelledError from None
        except BuildError as error:
            raise BuildFailedError(str(error)) from None
        finally:
            await phases.written()
        return Built(result.digest, result.size)


class _Phases:
    """Writes the phases of a build down in their order, while it goes on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last: asyncio.Task[None] | None = None

    def reached(self, phase: Phase) -> None:
        self._last = asyncio.create_task(self._after(self._last, Status[phase.name]))

    async def written(self) -> None:
        if self._last is not None:
            await self._last

    async def _after(self, before: asyncio.Task[None] | None, status: Status) -> None:
        if before is not None:
            await before
        await self._progress.advance(status)


def build_settings(settings: ServiceSettings) -> BuildSettings:
    """What the builder needs of the service's settings."""
    for folder in (settings.work_dir, settings.cache_dir):
        folder.mkdir(parents=True, exist_ok=True)
    return BuildSettings(
        work=settings.work_dir,
        cache=settings.cache_dir,
        registry=settings.registry,
        workers=settings.job_workers,
        bases=settings.bases,
        images=_inventory(settings.inventory_file),
        endpoints=Endpoints.from_json(settings.registry_endpoints),
        allowed_hosts=frozenset(settings.allowed_hosts),
        network=settings.build_network,
        limits=Limits(seconds=settings.job_timeout.total_seconds()),
    )


def _inventory(path: Path | None) -> dict[str, str]:
    """Public references and their private copies: the key `images` of replication's inventory."""
    if path is None:
        return {}
    images: dict[str, str] = json.loads(path.read_text("utf-8")).get("images", {})
    return images
