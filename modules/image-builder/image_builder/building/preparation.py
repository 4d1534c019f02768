"""What a build needs before anything is made: its bases, and the files that its layers take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..layers.models import Add
from ..layers.request import ImageRequest
from ..oci.coalesce import all_of
from .assembled.build import root_of
from .assembled.nodes import Node
from .assembled.sources import request_files
from .bases import SCRATCH, Base, Bases
from .errors import InvalidRequestError
from .fetch import Allowance, Bounds, fetch
from .hosts import HostPolicy
from .registries import Registries
from .result import BuildContext
from .settings import BuildSettings
from .stages import Plan, images


@dataclass(frozen=True)
class Prepared:
    """What a build has to work with.

    Attributes:
        bases: bases of stages that stand on an image, by number.
        images: images that files are taken from, by name.
        files: files of the request, by path.
        fetched: files that came from URLs, by the number of their layer.
    """

    bases: Mapping[int, Base]
    images: Mapping[str, Base]
    files: Mapping[str, Node]
    fetched: Mapping[int, Path]


@dataclass(frozen=True)
class Resources:
    """What the service lends a build.

    Attributes:
        settings: what the administrator has set.
        bases: finds bases.
        policy: which hosts may be asked.
    """

    settings: BuildSettings
    bases: Bases
    policy: HostPolicy


async def prepare(
    request: ImageRequest,
    plan: Plan,
    context: BuildContext,
    places: Registries,
    resources: Resources,
    folder: Path,
    log: Callable[[str], None],
) -> Prepared:
    """Find the bases and fetch what comes from URLs, all at once.

    Raises:
        BuildError: something is not there, or may not be asked for.
    """
    bases: dict[int, Base] = {}
    found_images: dict[str, Base] = {}
    fetched: dict[int, Path] = {}
    limits = resources.settings.limits
    bounds = Bounds(limits.download, Allowance(limits.unpacked))

    async def find_base(number: int) -> None:
        stage = plan.stages[number].stage
        bases[number] = base = await resources.bases.find(places.bases, stage)
        log(f"stage {number}: {stage.reference} is {base.reference or 'empty'}")

    async def find_image(name: str, platform: str | None) -> None:
        if name == SCRATCH:
            raise InvalidRequestError("from_layer: scratch has no files")
        found_images[name] = await resources.bases.find_named(places.bases, name, platform)
        log(f"from_layer {name} is {found_images[name].reference}")

    async def fetch_file(number: int, layer: Add) -> None:
        fetched[number] = folder / f"fetched-{number}"
        await fetch(layer.source, fetched[number], resources.policy, bounds, layer.checksum)
        log(f"layers[{number}]: fetched {layer.source.partition('?')[0]}")

    roots = {root_of(plan, plan.stages[number]) for number in plan.needed}
    remote = {
        number: layer
        for stage in plan.needed
        for number, layer in plan.stages[stage].layers
        if isinstance(layer, Add) and layer.is_remote
    }
    await all_of(
        [
            *(find_base(number) for number in sorted(roots)),
            *(find_image(name, platform) for name, platform in images(plan).items()),
            *(fetch_file(number, layer) for number, layer in remote.items()),
        ]
    )
    files = request_files(request, context.uploads) if plan.needs_files else {}
    if plan.needs_files and not files:
        raise InvalidRequestError("files: layers copy files, but the request has none")
    return Prepared(bases, found_images, files, fetched)
