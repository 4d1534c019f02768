"""Layers of bases on the disk, for builds that have to look into them."""

import asyncio
import contextlib
import os
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from ..oci.coalesce import Coalescer, all_of
from ..oci.download import Download
from ..oci.errors import RegistryError
from ..oci.manifests import Descriptor
from ..oci.meter import Meter
from ..oci.registry import Repository
from ..oci.transport import Transport
from .bases import Base
from .errors import BaseUnavailableError

_IN_USE = 900.0  # seconds for which a blob is kept after its last use, whatever the cache's size


@dataclass
class BlobCache:
    """A folder of blobs by their digest; several processes may share it.

    Args:
        folder: where they are.
        size: bytes that `trim` leaves.
    """

    folder: Path
    size: int
    _work: Coalescer = field(default_factory=Coalescer)

    async def layers(self, transport: Transport, base: Base) -> list[Path]:
        """The layers of a base, fetched if they are not there.

        Raises:
            BaseUnavailableError: they cannot be read.
        """
        if base.reference is None:
            return []
        place = Repository(transport, base.reference)
        try:
            await all_of([self._ensure(transport, place, layer) for layer in base.layers])
        except RegistryError as error:
            raise BaseUnavailableError(f"base {base.reference}: {error}") from None
        return [self._path(layer) for layer in base.layers]

    async def _ensure(self, transport: Transport, place: Repository, blob: Descriptor) -> None:
        path = self._path(blob)
        try:
            os.utime(path)
        except FileNotFoundError:
            await self._work.run(blob.digest, lambda: self._fetch(transport, place, blob, path))

    async def _fetch(self, transport: Transport, place: Repository, blob: Descriptor, path: Path) -> None:
        handle, name = self._part()
        try:
            with os.fdopen(handle, "wb") as file:
                async with (
                    transport.transfer(place.endpoint),
                    Download(place, blob, transport.retry, Meter()) as download,
                    aclosing(download.chunks(blob.size)) as chunks,
                ):
                    async for chunk in chunks:
                        file.write(chunk)
            _rename(name, path)
        except BaseException:
            _remove(name)
            raise

    def _part(self) -> tuple[int, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(dir=self.folder, prefix="part-")

    def _path(self, blob: Descriptor) -> Path:
        return self.folder / blob.digest.replace(":", "-")

    async def trim(self) -> int:
        """Remove what was not used for the longest time, until the rest fits; the bytes that went."""
        return await asyncio.to_thread(self._trim)

    def _trim(self) -> int:
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total, gone = sum(size for _, size, _ in found), 0
        for used, size, path in sorted(found):
            if total - gone <= self.size or time.time() - used < _IN_USE:
                break
            path.unlink(missing_ok=True)
            gone += size
        return gone


def _rename(name: str, path: Path) -> None:
    Path(name).chmod(0o644)
    Path(name).replace(path)


def _remove(name: str) -> None:
    Path(name).unlink(missing_ok=True)
