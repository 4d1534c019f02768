"""What a run has to have in place: from the lock when nothing has changed, else from the charts."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from . import results
from .charts.fetched import FetchResult
from .datafiles import DataFiles
from .digests import is_in_place
from .lock import Lock, LockedChart, LockedHelm, LockedRendering, LockedWorkload
from .names import split_reference
from .oci.reference import Reference
from .oci.transport import Transport
from .resolve import Image, Resolution, ResolvedChart, Target, resolve


@dataclass(frozen=True)
class Work:
    """What has to be in place at the end of a run.

    Attributes:
        inventory: the inventory that names it.
        images: every image once per private reference.
        charts: private reference -> chart to bring.
        kept_charts: private reference -> chart that is in place, as the lock has it.
        helm: what proved it, None when nothing did.
        rendering: how the charts are rendered, for the lock.
    """

    inventory: Mapping[str, object]
    images: tuple[Image, ...]
    charts: Mapping[str, ResolvedChart] = field(default_factory=dict)
    kept_charts: Mapping[str, LockedChart] = field(default_factory=dict)
    helm: LockedHelm | None = None
    rendering: LockedRendering | None = None

    @property
    def repositories(self) -> set[str]:
        """Names of all private repositories."""
        private = [image.private for image in self.images] + [*self.charts, *self.kept_charts]
        return {split_reference(reference)[0].partition("/")[2] for reference in private}

    @property
    def repositories_by_digest(self) -> set[str]:
        """Those with an image that is pulled by its digest, whether a tag still names it or not."""
        return {image.repository for image in self.images if "@" in image.private}


class Charts(Protocol):
    """Where charts come from: their sources, or a bundle."""

    async def fetch(self, data: DataFiles) -> Mapping[str, FetchResult]:
        """The chart of each workload, or why it cannot be had."""


async def resolved(charts: Charts, data: DataFiles, target: Target) -> Resolution:
    """Fetch the charts and find their images.

    Raises:
        DataFilesError: something in the data files does not fit the charts.
    """
    return resolve(data, await charts.fetch(data), target)


def from_charts(data: DataFiles, resolution: Resolution, eks_version: str, helm: LockedHelm | None) -> Work:
    """What the charts ask for."""
    return Work(
        inventory=results.inventory(data, resolution),
        images=tuple({image.private: image for image in resolution.images}.values()),
        charts={chart.private: chart for chart in resolution.charts},
        helm=helm,
        rendering=_rendering(data, resolution, eks_version),
    )


async def from_lock(transport: Transport, lock: Lock) -> Work | None:
    """What the lock says; None when it says not all, or a chart is not in place any more.

    A chart that is gone has to be fetched to be brought again, and then it may as well be resolved.
    Images need no such thing: the lock knows where to fetch them.
    """
    if lock.inventory is None:
        return None
    in_place = await asyncio.gather(
        *(is_in_place(transport, private, chart.digest) for private, chart in lock.charts.items())
    )
    if not all(in_place):
        return None
    images = (
        Image(image.source, Reference.parse(image.address), private, reasons=())
        for private, image in lock.images.items()
    )
    return Work(
        lock.inventory, tuple(images), kept_charts=lock.charts, helm=lock.helm, rendering=lock.rendering
    )


def _rendering(data: DataFiles, resolution: Resolution, eks_version: str) -> LockedRendering:
    workloads = {
        chart.workload.key: LockedWorkload(
            chart=chart.private,
            # YAML knows dates, JSON does not; helm is given the same texts.
            render_values=json.loads(json.dumps(chart.workload.render_values, default=str)),
            accepted_images=chart.workload.accepted_images,
        )
        for chart in resolution.charts
    }
    return LockedRendering(eks_version, tuple(sorted(data.mappings.hosts)), workloads)
