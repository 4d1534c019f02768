"""The two ways to an image, behind one interface."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..locks import Uses
from ..oci.manifests import Manifest
from ..oci.registry import Repository
from .assembled.assemble import AssembledImage
from .assembled.build import Indexes, Inputs, Workshop, build_assembled, root_of
from .assembled.spool import Spool
from .bases import Base
from .blobs import BlobCache
from .preparation import Prepared
from .push import FileContent, NewBlob
from .registries import Registries
from .settings import Limits
from .stages import Plan
from .stop import Stop

_OF_A_BASE = 4  # entries that a base may have, for each that a request may add


@dataclass(frozen=True)
class MadeImage:
    """An image that is on this machine, ready to be pushed any number of times.

    Attributes:
        manifest: its manifest.
        blobs: its configuration and layers, and where they are.
    """

    manifest: Manifest
    blobs: list[NewBlob]


class Way(Protocol):
    """A way to make an image."""

    @property
    def name(self) -> str:
        """`assembled` or `commands`."""
        ...

    async def make(self, log: Callable[[str], None]) -> MadeImage:
        """Make the image.

        Raises:
            BuildError: it cannot be made.
        """
        ...


@dataclass(frozen=True)
class AssembledWay:
    """An image made without running anything.

    Attributes:
        plan: what to make.
        prepared: what it is made from.
        blobs: layers of bases.
        indexes: what is known of bases.
        limits: what the build may take.
        places: the registries.
        folder: the build's own folder.
        uses: what the build uses of the cache.
    """

    plan: Plan
    prepared: Prepared
    blobs: BlobCache
    indexes: Indexes
    limits: Limits
    places: Registries
    folder: Path
    uses: Uses

    name = "assembled"

    async def make(self, log: Callable[[str], None]) -> MadeImage:
        """Make the image; see Way."""
        prepared, stop = self.prepared, Stop()
        blobs = {
            str(base.reference): await self.blobs.layers(self.places.bases, base, self.uses)
            for base in self._opened()
        }
        inputs = Inputs(prepared.files, prepared.fetched, prepared.bases, prepared.images, blobs)
        with Spool(self.folder / "content", self.limits.unpacked, self.limits.entries, stop) as spool:
            workshop = Workshop(spool, self.indexes, self.folder, self.limits.entries * _OF_A_BASE, stop)
            image = await stop.run(build_assembled, self.plan, inputs, workshop)
        base = prepared.bases[root_of(self.plan, self.plan.stages[self.plan.needed[-1]])]
        log(f"assembled {image.manifest.digest}, {image.size} bytes")
        return MadeImage(image.manifest, [*inherited(base, self.places), *own_blobs(image)])

    def _opened(self) -> list[Base]:
        """Bases whose files somebody looks into."""
        roots = {root_of(self.plan, self.plan.stages[number]) for number in self.plan.looked_into()}
        found = [self.prepared.bases[number] for number in sorted(roots)]
        return [base for base in [*found, *self.prepared.images.values()] if base.reference]


def own_blobs(image: AssembledImage) -> list[NewBlob]:
    """What an image has beside its base's layers."""
    layers = (NewBlob(described, FileContent(layer.path)) for layer, described in image.layers)
    return [NewBlob(image.config_descriptor, image.config), *layers]


def inherited(base: Base, places: Registries) -> list[NewBlob]:
    """The layers that an image has from its base, to be taken from the base's repository."""
    if base.reference is None:
        return []
    place = Repository(places.bases, base.reference)
    return [NewBlob(layer, place) for layer in base.layers]
