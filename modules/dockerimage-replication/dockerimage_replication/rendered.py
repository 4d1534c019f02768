"""What the charts at the destination render to: every image that a cluster will be told to pull."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .charts import oci
from .charts.archive import ChartError
from .charts.fetched import FetchedChart
from .comparison import Difference
from .datafiles import Workload
from .digests import NO_ANSWER
from .lock import Lock, LockedHelm, LockedRendering
from .locked import Locked
from .oci.reference import Reference
from .oci.registry import Repository
from .oci.transport import Transport
from .proof.distro import Say
from .proof.program import helm_at_hand
from .proof.proof import SKIPPED, RenderedImage, rendered_images
from .proof.references import Names
from .proof.registries import parsed
from .resolve import Image, Resolution, ResolvedChart
from .values import Values

UNKNOWN = "the charts are not rendered: the lock does not say with what, which the next `apply` writes there"


@dataclass(frozen=True)
class Rendered:
    """What rendering has shown.

    Attributes:
        helm: the helm that rendered, None when none did.
        skipped: why nothing was rendered.
        places: image of the private registry that charts name -> where they do, for people.
        differences: images outside the registry that nobody has accepted, and charts that could not be
            rendered.
    """

    helm: LockedHelm | None = None
    skipped: str | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()


async def render_charts(transport: Transport, locked: Locked, say: Say) -> Rendered:
    """Render the charts as they are at the destination, with the values of the lock's inventory.

    Raises:
        UserError: the helm of `helm-distro-url` cannot be had.
    """
    lock, rendering = locked.lock, locked.lock.rendering
    if rendering is None:
        return Rendered(skipped=UNKNOWN)
    async with helm_at_hand(locked.distro, say) as helm:
        if helm is None:
            return Rendered(skipped=SKIPPED)
        fetched = await _fetched(transport, lock)
        charts, differences = _charts(lock, rendering, fetched)
        resolution = Resolution(charts, _images(lock), {})
        images, problems = await rendered_images(helm, resolution, rendering.eks_version, rendering.hosts)
    private = {chart.workload.key: chart.private for chart in charts}
    for problem in problems:
        differences.append(_not_rendered(lock, private[problem.workload or ""], str(problem)))
    hosts = {chart.host for chart in charts}
    places: dict[str, str] = {}
    for image in images:
        if (reference := _at_destination(image, hosts)) is not None:
            places.setdefault(str(reference), f"charts.{image.workload}: {image.shown_places}")
        elif image.problem and image.accepted is None:
            chart = private[image.workload]
            differences.append(Difference("rendered-outside", chart, image.text, None, None, str(image)))
    return Rendered(helm.identity, None, places, tuple(differences))


async def _fetched(transport: Transport, lock: Lock) -> dict[str, FetchedChart | str]:
    """Each chart of the lock by its digest, or why it cannot be had."""

    async def fetch(private: str, digest: str) -> FetchedChart | str:
        reference = Reference.parse(private).with_digest(digest)
        try:
            return await oci.fetch(Repository(transport, reference), reference, transport.retry)
        except (ChartError, *NO_ANSWER) as error:
            return f"{private}: {error}"

    found = await asyncio.gather(*(fetch(private, chart.digest) for private, chart in lock.charts.items()))
    return dict(zip(lock.charts, found, strict=True))


def _charts(
    lock: Lock, rendering: LockedRendering, fetched: Mapping[str, FetchedChart | str]
) -> tuple[tuple[ResolvedChart, ...], list[Difference]]:
    """The chart of each workload with its values, as a run resolves it; and what cannot be rendered."""
    charts, differences = [], []
    for key, workload in rendering.workloads.items():
        found, values = fetched[workload.chart], _values(lock, key)
        if isinstance(found, str):
            differences.append(_not_rendered(lock, workload.chart, found))
        elif values is None:
            text = f"charts.{key}: the lock's inventory has no values for it: apply again"
            differences.append(_not_rendered(lock, workload.chart, text))
        else:
            place, chart = Reference.parse(workload.chart), lock.charts[workload.chart]
            described = Workload(
                key=key,
                chart=chart.name,
                repository=chart.repository,
                version=chart.version,
                subcharts=(),
                images=(),
                values={},
                render_values=workload.render_values,
                accepted_images=workload.accepted_images,
                file="",
            )
            charts.append(ResolvedChart(described, found, place.registry, place.repository, values))
    return tuple(charts), differences


def _values(lock: Lock, workload: str) -> Values | None:
    found: object = lock.inventory
    for key in ("charts", workload, "values"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _images(lock: Lock) -> tuple[Image, ...]:
    return tuple(
        Image(image.source, Reference.parse(image.address), private, reasons=())
        for private, image in lock.images.items()
    )


def _at_destination(image: RenderedImage, hosts: Iterable[str]) -> Reference | None:
    """What to ask the destination for; None when it is elsewhere, accepted, or no single image."""
    if image.accepted is not None or image.places[0].names is not Names.IMAGE:
        return None
    reference = parsed(image.text)
    if reference is None or reference.registry not in hosts:
        return None
    # An engine that is given both pulls by the digest; of images in the lock, the tag is asked for.
    return replace(reference, tag=None) if image.problem and reference.digest else reference


def _not_rendered(lock: Lock, private: str, why: str) -> Difference:
    return Difference("not-rendered", private, private, lock.charts[private].digest, None, why)
