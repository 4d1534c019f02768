"""The proof itself: every image that the charts name is in the private registry, or is accepted."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..charts.untrusted_yaml import UntrustedYamlError
from ..datafiles import DataFiles, Workload
from ..lock import LockedHelm
from ..problems import DataFilesError, Problem, listed
from ..resolve import Resolution, ResolvedChart
from ..shared.errors import UserError
from .destination import Destination, accepted_as
from .distro import HelmDistro, Say
from .objects import rendered_objects
from .process import HelmError
from .program import Helm, helm_at_hand
from .references import Named, named_images
from .registries import Known
from .render import render

SKIPPED = (
    "the charts are not rendered, so nothing proves that they use private images only: set the parameter "
    "`helm-distro-url`, or put helm on PATH"
)
_SHOWN_PLACES = 3  # for each image in a message


@dataclass(frozen=True)
class RenderedImage:
    """An image that a rendered chart names.

    Attributes:
        workload: the workload whose chart it is.
        text: the image as it stands there.
        places: where it stands, and why it counts.
        problem: why a cluster could not pull it; None when it is in the private registry.
        accepted: the reason that the data files accept it for, None when they do not.
    """

    workload: str
    text: str
    places: tuple[Named, ...]
    problem: str | None
    accepted: str | None

    def __str__(self) -> str:
        return f"charts.{self.workload}: `{self.text}` {self.problem} ({self.shown_places})"

    @property
    def shown_places(self) -> str:
        """Where it stands, for people: the first places, each with the reason."""
        shown = "; ".join(f"{place.where}, {place.why}" for place in self.places[:_SHOWN_PLACES])
        more = len(self.places) - _SHOWN_PLACES
        return f"{shown}; {more} more" if more > 0 else shown


@dataclass(frozen=True)
class Proof:
    """What rendering has shown.

    Attributes:
        helm: the helm that rendered, for the lock; None when the proof was skipped.
        skipped: why it was skipped.
        images: every image that the charts name, once per workload.
        warnings: entries of `accepted_images` that match nothing.
    """

    helm: LockedHelm | None = None
    skipped: str | None = None
    images: tuple[RenderedImage, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[RenderedImage, ...]:
        """What a cluster could not pull and nobody has accepted."""
        return tuple(image for image in self.images if image.problem and image.accepted is None)


async def require_proof(
    data: DataFiles, resolution: Resolution, eks_version: str, distro: HelmDistro | None, say: Say
) -> Proof:
    """Prove that the charts use private images only; without a helm, say that nothing is proven.

    Args:
        data: the data files.
        resolution: what the run replicates.
        eks_version: version of the cluster.
        distro: where helm is downloaded, None for the one on `PATH`.
        say: prints a line for the log.

    Raises:
        UserError: a chart names other images, each with its places; or see `prove`.
    """
    proof = await prove(data, resolution, eks_version, distro, say)
    if proof.skipped:
        say(proof.skipped)
    for warning in proof.warnings:
        say(f"WARNING: {warning}")
    if proof.findings:
        raise UserError(
            listed(
                "the charts name images that a cluster without internet access cannot pull; nothing was "
                "copied. Add them to the data files, or name them in `accepted_images` with a reason",
                proof.findings,
            )
        )
    if proof.helm:
        accepted = sum(image.accepted is not None for image in proof.images)
        count = f"{len(proof.images)} images, {accepted} of them accepted"
        say(f"rendered with helm {proof.helm.version}: {count}")
    return proof


async def prove(
    data: DataFiles, resolution: Resolution, eks_version: str, distro: HelmDistro | None, say: Say
) -> Proof:
    """Render every chart and look at every image that it names; see `require_proof`.

    Raises:
        UserError: helm cannot be had.
        DataFilesError: charts cannot be rendered; all of them, with helm's messages.
    """
    async with helm_at_hand(distro, say) as helm:
        if helm is None:
            return Proof(skipped=SKIPPED)
        images, problems = await rendered_images(helm, resolution, eks_version, data.mappings.hosts)
    if problems:
        raise DataFilesError(listed("charts cannot be rendered; nothing was copied", problems), problems)
    warnings = [
        warning
        for chart in resolution.charts
        for warning in _unused(chart.workload, [i for i in images if i.workload == chart.workload.key])
    ]
    return Proof(helm.identity, None, tuple(images), tuple(warnings))


async def rendered_images(
    helm: Helm, resolution: Resolution, eks_version: str, hosts: Iterable[str]
) -> tuple[list[RenderedImage], list[Problem]]:
    """Every image that the charts render to, once per workload; and which charts cannot be rendered.

    Args:
        helm: renders them.
        resolution: the charts, and the images that are in the private registry.
        eks_version: version of the cluster.
        hosts: registries beside those of the images and the public ones.
    """
    charts = resolution.charts
    outputs = await render(helm, charts, eks_version)
    registries = {*hosts, *(chart.host for chart in charts)}
    known = Known.of((image.source for image in resolution.images), registries)
    problems: list[Problem] = []
    images: list[RenderedImage] = []
    for chart in charts:
        try:
            named = await asyncio.to_thread(_named, outputs[chart.workload.key], known)
        except (HelmError, UntrustedYamlError) as error:
            problems.append(_unrendered(chart, str(error)))
            continue
        images += _images(chart.workload, named, Destination(resolution, chart.host))
    return images, problems


def _named(output: bytes | HelmError, known: Known) -> list[Named]:
    if isinstance(output, HelmError):
        raise output
    return [named for found in rendered_objects(output) for named in named_images(found, known)]


def _images(workload: Workload, named: Sequence[Named], destination: Destination) -> Iterator[RenderedImage]:
    """Each image once, in the order of the references."""
    groups: dict[tuple[str, str | None], dict[str, Named]] = {}
    for item in named:
        groups.setdefault((item.text, destination.problem(item)), {}).setdefault(item.where, item)
    for (text, problem), places in sorted(groups.items(), key=lambda group: group[0][0]):
        first = next(iter(places.values()))
        entry = accepted_as(first, workload.accepted_images) if problem else None
        reason = workload.accepted_images[entry] if entry else None
        yield RenderedImage(workload.key, text, tuple(places.values()), problem, reason)


def _unused(workload: Workload, images: Sequence[RenderedImage]) -> Iterator[str]:
    used = {
        accepted_as(image.places[0], workload.accepted_images)
        for image in images
        if image.accepted is not None
    }
    for entry in workload.accepted_images:
        if entry not in used:
            yield (
                f"charts.{workload.key}.accepted_images: `{entry}` matches nothing that the chart names "
                "outside the private registry: remove it"
            )


def _unrendered(chart: ResolvedChart, message: str) -> Problem:
    text = (
        f"chart {chart.workload.chart} {chart.version} cannot be rendered: {message} (values that whoever "
        "installs the chart sets belong into `render_values`)"
    )
    return Problem("", f"charts.{chart.workload.key}", text, chart.workload.key)
