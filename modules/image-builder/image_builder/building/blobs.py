"""Layers of bases on the disk, for builds that have to look into them.

They are kept by registry and digest: who may read a layer is its registry's to say, and a registry that is
slow or has something else keeps up its own users alone.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ..cached import PART
from ..locks import Lock, Uses, own_file
from ..oci.coalesce import Coalescer, all_of
from ..oci.download import Download
from ..oci.errors import RegistryError
from ..oci.manifests import Descriptor
from ..oci.meter import Meter
from ..oci.registry import Repository
from ..oci.transport import Transport
from .bases import Base
from .errors import BaseUnavailableError, LimitExceededError

_LAYERS = 127  # what Docker mounts of one image; each is held open while a build uses it


@dataclass
class BlobCache:
    """A folder of blobs; several processes may share it.

    Args:
        folder: where they are.
        most: bytes that the layers of one base may have.

    Attributes:
        fetched: how many have been added.
    """

    folder: Path
    most: int
    fetched: int = 0
    _work: Coalescer = field(default_factory=Coalescer)

    async def layers(self, transport: Transport, base: Base, uses: Uses) -> list[Path]:
        """The layers of a base, fetched if they are not there; they stay until the uses end.

        Raises:
            BaseUnavailableError: they cannot be read.
            LimitExceededError: they are too many or too large.
        """
        if base.reference is None:
            return []
        size = sum(layer.size for layer in base.layers)
        if len(base.layers) > _LAYERS or size > self.most:
            raise LimitExceededError(
                f"base {base.reference}: it has {len(base.layers)} layers of {size} bytes; {_LAYERS} layers "
                f"of {self.most} bytes are allowed"
            )
        place = Repository(transport, base.reference)
        try:
            await all_of([self._ensure(transport, place, layer, uses) for layer in base.layers])
        except RegistryError as error:
            raise BaseUnavailableError(f"base {base.reference}: {error}") from None
        return [self._path(place, layer) for layer in base.layers]

    async def _ensure(self, transport: Transport, place: Repository, blob: Descriptor, uses: Uses) -> None:
        path = self._path(place, blob)
        while not uses.hold(path):
            await self._work.run(path.name, lambda: self._fetch(transport, place, blob, path))

    async def _fetch(self, transport: Transport, place: Repository, blob: Descriptor, path: Path) -> None:
        part = await asyncio.to_thread(self._begin)
        try:
            with part.path.open("wb") as file:
                async with (
                    transport.transfer(place.endpoint),
                    Download(place, blob, transport.retry, Meter()) as download,
                    aclosing(download.chunks(blob.size)) as chunks,
                ):
                    async for chunk in chunks:
                        file.write(chunk)
            _rename(part.path, path)
            self.fetched += 1
        except BaseException:
            _remove(part.path)
            raise
        finally:
            part.release()

    def _begin(self) -> Lock:
        lock = own_file(self.folder, PART)
        self.folder.chmod(0o711)  # builds read layers, and are another user when the service is root
        return lock

    def _path(self, place: Repository, blob: Descriptor) -> Path:
        registry = sha256(place.registry.encode()).hexdigest()[:16]
        return self.folder / f"{registry}-{blob.digest.replace(':', '-')}"


def _rename(part: Path, path: Path) -> None:
    part.chmod(0o644)
    part.replace(path)


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
