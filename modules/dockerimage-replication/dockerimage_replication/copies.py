"""All copies of a run, side by side; one that fails does not stop the others."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

from .charts.archive import ChartError
from .charts.push import replicate_chart
from .digests import NO_ANSWER
from .image_copies import ImageCopies, WantedImage
from .immutable_tags import explained
from .lock import Lock, LockedChart, LockedImage
from .oci.copy import Copier, CopyResult
from .oci.journal import Journal
from .oci.reference import Reference
from .oci.source import ImageSource
from .oci.transport import Transport
from .progress import Progress
from .resolve import Image, ResolvedChart
from .shared.errors import UserError
from .work import Work


@dataclass(frozen=True)
class _Failure:
    subject: str
    reason: str


class Copies:
    """Brings images and charts into place.

    Args:
        transport: how registries are reached.
        progress: told what is copied.
        lock: says which digest a tag had; its images are compared with the destination alone, and
            are not followed when the tag moves at the source. None to ask every source.
        journal: where uploads under way are noted.
        source: what an image is copied from; its repository without this.
    """

    def __init__(
        self,
        transport: Transport,
        progress: Progress,
        lock: Lock | None,
        journal: Journal,
        source: Callable[[Reference], ImageSource] | None = None,
    ) -> None:
        self._transport = transport
        self._copier = Copier(transport, journal, source)
        self._progress = progress
        self._lock = lock or Lock("")
        self._refresh = lock is None
        self._image_copies = ImageCopies(
            transport, self._copier, progress, self._lock.images, refresh=self._refresh
        )
        self._images: dict[str, LockedImage] = {}
        self._charts: dict[str, LockedChart] = {}

    async def run(self, work: Work, inputs: str) -> Lock:
        """Have everything in place; the lock of it, for the inputs that `work` came from.

        Raises:
            UserError: some could not be copied; all of them, each with its reason.
        """
        attempts = [self._attempt(image.source, self._image(image)) for image in work.images]
        attempts += [self._attempt(private, self._chart(chart)) for private, chart in work.charts.items()]
        async with self._progress.transfers(self._copier.meter, len(attempts)):
            failures = [failure for failure in await asyncio.gather(*attempts) if failure]
        if failures:
            lines = "".join(f"\n  - {failure.subject}: {failure.reason}" for failure in failures)
            raise UserError(
                f"{len(failures)} of {len(attempts)} images and charts could not be replicated; the others "
                f"are in place, and no inventory was uploaded:{lines}"
            )
        charts = {**work.kept_charts, **self._charts}
        self._progress.say(f"{len(self._images)} images and {len(charts)} charts are in place")
        return Lock(inputs, self._images, charts, work.inventory, work.helm, work.rendering)

    async def _attempt(self, subject: str, copy: Coroutine[None, None, None]) -> _Failure | None:
        try:
            await copy
        except (ChartError, *NO_ANSWER) as error:
            self._progress.say(f"FAILED {subject}: {explained(error)}")
            return _Failure(subject, explained(error))
        self._progress.count()
        return None

    async def _image(self, image: Image) -> None:
        wanted = WantedImage(image.source, image.address, image.private)
        self._images[image.private] = await self._image_copies.bring(wanted)

    async def _chart(self, chart: ResolvedChart) -> None:
        destination = Reference.parse(chart.private)
        result = await replicate_chart(
            self._transport, self._copier, chart.fetched, destination, refresh=self._refresh
        )
        self._progress.say(
            f"chart {chart.workload.chart} {chart.version} -> {chart.private} ({result.digest})"
        )
        locked = LockedChart(
            name=chart.workload.chart,
            version=chart.version,
            repository=chart.workload.repository,
            digest=result.digest,
            address=_address(chart),
            attached=_attached(result, self._lock.charts.get(chart.private)),
        )
        if self._has_changed(chart.private, locked):
            self._progress.say(
                f"chart {locked.name} {locked.version} of {locked.repository} is another one than in the "
                "last run, under the same version"
            )
        self._charts[chart.private] = locked

    def _has_changed(self, private: str, chart: LockedChart) -> bool:
        before = self._lock.charts.get(private)
        return before is not None and before.digest != chart.digest and before.repository == chart.repository


def _attached(result: CopyResult, before: LockedChart | None) -> tuple[str, ...]:
    """What is attached to a chart; one that was in place already is not asked for it again."""
    if before and before.digest == result.digest:
        return result.attached or before.attached
    return result.attached


def _address(chart: ResolvedChart) -> str | None:
    """Where a chart is asked for by its tag, None for one from an http(s) chart repository."""
    source = chart.fetched.source
    return str(replace(source, digest=None)) if source else None
