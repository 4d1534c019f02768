"""The way in: one request, one image."""

import asyncio
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ..cached import BLOBS, STORES
from ..layers.request import ImageRequest
from ..locks import Uses, own_folder
from ..oci.errors import RegistryError
from ..oci.manifests import Manifest
from ..oci.reference import Reference
from ..oci.registry import Repository
from .assembled.build import Indexes
from .bases import Bases
from .blobs import BlobCache
from .commands.build import CommandsWay
from .commands.sandbox import counted_apart
from .commands.stores import BaseStores
from .errors import BuildError, CancelledBuildError, LimitExceededError, PushError
from .hosts import HostPolicy
from .known import KnownImages, key_of
from .preparation import Prepared, Resources, prepare
from .push import find, push
from .registries import Registries, registries, service_transport
from .result import BuildContext, BuildResult, Phase
from .settings import BuildSettings
from .stages import Plan, plan
from .tidying import BUILD, tidy_up
from .ways import AssembledWay, Way

Log = Callable[[str], None]
Result = TypeVar("Result")

_LITTLE = 256 * 1024  # bytes
_TIDY_WITHIN = 5.0  # seconds that the end waits for; the next start goes on with the rest

logger = logging.getLogger(__name__)


async def build(
    request: ImageRequest,
    settings: BuildSettings,
    context: BuildContext,
    on_log: Log,
    cancel: asyncio.Event,
) -> BuildResult:
    """Build one image and push it; a service keeps a Builder instead, which remembers bases.

    Args:
        request: what to build.
        settings: what the administrator has set.
        context: what belongs to this build alone.
        on_log: called with each line of the log, without its line break; it must not block.
        cancel: set to end the build; nothing of it runs 2 seconds later.

    Raises:
        BuildError: there is no image; its class and text say why.
    """
    async with Builder(settings) as builder:
        return await builder.build(request, context, on_log, cancel)


class Builder:
    """Builds images, any number at a time; an asynchronous context manager that owns the connections.

    The same request gives the same digest, wherever and whenever it is built, as long as its bases and
    its commands give the same.

    Args:
        settings: what the administrator has set.
    """

    def __init__(self, settings: BuildSettings) -> None:
        own = {settings.registry.prefix.partition("/")[0].lower()} if settings.registry else set()
        self._settings = settings
        self._policy = HostPolicy(settings.allowed_hosts | own, settings.endpoints)
        self._service = service_transport(settings, self._policy)
        self._bases = Bases(settings, self._policy)
        self._blobs = BlobCache(settings.cache / BLOBS, settings.limits.disk)
        self._stores = BaseStores(settings.cache / STORES)
        self._tidying: asyncio.Task[None] | None = None
        self._kept = -1  # of what was added when it was tidied up last
        self._indexes = Indexes()
        self._known = KnownImages()

    async def __aenter__(self) -> Self:
        if not counted_apart(os.uname().release):
            logger.warning(
                "Linux before 5.14 counts processes of all builds together: too many of one make others fail"
            )
        self._tidying = asyncio.create_task(self._tidied())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tidying:
            await asyncio.wait([self._tidying], timeout=_TIDY_WITHIN)
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await self._service.__aexit__(kind, error, trace)

    async def build(
        self, request: ImageRequest, context: BuildContext, on_log: Log, cancel: asyncio.Event
    ) -> BuildResult:
        """Build an image and push it; see `build`.

        Raises:
            BuildError: there is no image; its class and text say why.
        """
        try:
            return await self._limited(self._build(request, context, on_log), cancel)
        finally:
            self._tidy()

    async def pushed(self, request: ImageRequest, cancel: asyncio.Event) -> Manifest | None:
        """The image that a request's tag names already; None when there is none.

        Raises:
            BuildError: the registry does not say, or `cancel` was set.
        """
        return await self._limited(self._pushed(request), cancel)

    async def _limited(self, work: Coroutine[None, None, Result], cancel: asyncio.Event) -> Result:
        """What comes of a piece of work, unless it is cancelled or takes too long."""
        working = asyncio.create_task(work)
        cancelled = asyncio.create_task(cancel.wait())
        try:
            await asyncio.wait(
                [working, cancelled],
                timeout=self._settings.limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if working.done():
                return working.result()
            if cancelled.done():
                raise CancelledBuildError("the build was cancelled")
            raise LimitExceededError(
                f"the build took more than {self._settings.limits.seconds:.0f} s, the limit"
            )
        finally:
            cancelled.cancel()
            working.cancel()
            await asyncio.wait([working, cancelled])

    async def _pushed(self, request: ImageRequest) -> Manifest | None:
        async with registries(request, self._settings, self._policy, self._service) as places:
            digest = await find(places.destination, places.target)
            if digest is None:
                return None
            try:
                return await Repository(places.destination, places.target).get_manifest(digest)
            except RegistryError as error:
                raise PushError(str(error)) from None

    def _tidy(self) -> None:
        """Keep the cache within its limit, beside the builds, when they have added to it."""
        if self._added != self._kept and (self._tidying is None or self._tidying.done()):
            self._tidying = asyncio.create_task(self._tidied())

    async def _tidied(self) -> None:
        try:
            while self._added != self._kept:
                self._kept = self._added
                left = (await tidy_up(self._settings)).left
                if left > self._settings.cache_size:
                    self._kept = -1  # builds use what is too much: the next end of one is the next chance
                    return
        except OSError:
            logger.exception("the cache, or what killed builds have left, cannot be removed")

    @property
    def _added(self) -> int:
        return self._blobs.fetched + self._stores.made

    async def _build(self, request: ImageRequest, context: BuildContext, log: Log) -> BuildResult:
        watch = _Watch()
        context.on_phase(Phase.AUTHORIZING)
        steps = plan(request.layers)
        async with (
            registries(request, self._settings, self._policy, self._service) as places,
            self._folder() as folder,
            self._uses() as uses,
        ):
            resources = Resources(self._settings, self._bases, self._policy)
            prepared = await prepare(request, steps, context, places, resources, folder, log)
            watch.lap("resolve")
            key = await _key(steps, prepared, places.target)
            known = await self._again(key, places, context, watch)
            if known:
                log(f"the image is known: {known.digest}")
                return known
            context.on_phase(Phase.GENERATING)
            limits = self._settings.limits
            way: Way = AssembledWay(steps, prepared, self._blobs, self._indexes, limits, places, folder, uses)
            if steps.runs_commands:
                way = CommandsWay(
                    steps, prepared, self._blobs, self._stores, self._settings, places, folder, uses
                )
            return await self._made(way, key, places, context, log, watch)

    async def _made(
        self, way: Way, key: str | None, places: Registries, context: BuildContext, log: Log, watch: "_Watch"
    ) -> BuildResult:
        context.on_phase(Phase.BUILDING)
        image = await way.make(log)
        watch.lap("build")
        context.on_phase(Phase.PUSHING)
        await context.before_push()
        before_tag = partial(context.before_tag, image.manifest.digest)
        await push(places.destination, places.target, image.manifest, image.blobs, before_tag)
        watch.lap("push")
        if key:
            self._known.remember(key, image.manifest)
        log(f"pushed {places.target}@{image.manifest.digest}")
        size = len(image.manifest.raw) + sum(blob.size for blob in image.manifest.blobs)
        return BuildResult(str(places.target), image.manifest.digest, size, way.name, timings=watch.timings())

    async def _again(
        self, key: str | None, places: Registries, context: BuildContext, watch: "_Watch"
    ) -> BuildResult | None:
        """The image of an earlier build of the same content, if its registry still has it."""
        manifest = self._known.find(key) if key else None
        if manifest is None:
            return None
        try:
            if await find(places.destination, places.target) != manifest.digest:
                await context.before_push()
                await context.before_tag(manifest.digest)
                place = Repository(places.destination, places.target)
                await place.put_manifest(manifest, places.target.identifier)
        except (BuildError, RegistryError):
            return None  # then it is built and pushed, which says what is wrong
        watch.lap("push")
        size = len(manifest.raw) + sum(blob.size for blob in manifest.blobs)
        way = "commands" if key and key.startswith("commands") else "assembled"
        return BuildResult(
            str(places.target), manifest.digest, size, way, cached=True, timings=watch.timings()
        )

    @asynccontextmanager
    async def _uses(self) -> AsyncIterator[Uses]:
        """What a build holds of the cache."""
        with Uses() as uses:
            yield uses

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        """A folder of the build's own."""
        lock = await asyncio.to_thread(own_folder, self._settings.work, BUILD)
        try:
            yield lock.path
        finally:
            await asyncio.to_thread(shutil.rmtree, lock.path, ignore_errors=True)
            lock.release()


class _Watch:
    """Seconds that the parts of a build took."""

    def __init__(self) -> None:
        self._begin = self._last = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """A part has ended."""
        now = time.monotonic()
        self._laps[name] = now - self._last
        self._last = now

    def timings(self) -> dict[str, float]:
        """All parts, and the whole."""
        return {**self._laps, "total": self._last - self._begin}


async def _key(plan: Plan, prepared: Prepared, target: Reference) -> str | None:
    """What an image is made from; much is read in a thread, which for little would take the longest."""
    if sum(node.size for node in prepared.files.values()) < _LITTLE:
        return key_of(plan, prepared, target)
    return await asyncio.to_thread(key_of, plan, prepared, target)
