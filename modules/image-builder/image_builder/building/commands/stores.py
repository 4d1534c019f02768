"""Bases as buildah wants them: a store of its own for each, read by any number of builds.

A store is made under another name and renamed when it is complete, so that nobody sees half of one; it
is removed as a whole.
"""

import asyncio
import contextlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ...cached import PART, STORE_SIZE
from ...locks import Lock, Uses, own_folder
from ...oci.coalesce import Coalescer
from ...oci.digest import digest_of
from ..bases import Base
from ..errors import BaseUnavailableError
from .sandbox import Sandbox

# What it takes is counted here, where all its files can be seen.
_PULL = (
    'buildah --root "$1" --runroot "$2" --storage-driver overlay pull --quiet '
    f'--signature-policy "$3" "dir:$4" && du -sxk "$1" | cut -f1 > "$1/{STORE_SIZE}"'
)
_REMOVE = 'rm -rf -- "$@"'
_LOG = 64 * 1024  # bytes


@dataclass
class BaseStores:
    """The stores of this machine.

    Args:
        folder: where they are.

    Attributes:
        made: how many have been added.
    """

    folder: Path
    made: int = 0
    _work: Coalescer = field(default_factory=Coalescer)

    async def of(self, base: Base, blobs: list[Path], sandbox: Sandbox, job: Path, uses: Uses) -> Path:
        """The store of a base, made when it is not there; it stays until the uses end.

        Args:
            base: an image; `scratch` has no store.
            blobs: its layers on the disk.
            sandbox: where it is made.
            job: folder of the build that needs it.
            uses: what the build uses.

        Raises:
            BaseUnavailableError: buildah does not take it.
        """
        store = self.folder / image_id(base)
        while not uses.hold(store):
            await self._work.run(store.name, lambda: self._make(base, blobs, sandbox, job, store))
        return store

    async def _make(self, base: Base, blobs: list[Path], sandbox: Sandbox, job: Path, store: Path) -> None:
        image = await asyncio.to_thread(write_image, base, blobs, job)
        part = await asyncio.to_thread(self._begin)
        new = part.path
        sandbox.own(new)
        lines: list[str] = []
        try:
            status = await sandbox.run(
                _PULL,
                # By its name in the build's folder: buildah makes an image's name of this path, and not all
                # paths can be one.
                [new, job / "pull-run", job / "policy.json", image.name],
                job,
                lines.append,
                log_limit=_LOG,
            )
            if status:
                raise BaseUnavailableError(f"base {base.reference}: {' '.join(lines[-2:])[-500:]}")
            self.made += 1
            with contextlib.suppress(OSError):  # somebody else was quicker
                _rename(new, store)
        finally:
            part.release()
            if _exists(new):
                await remove([new], sandbox, job)

    def _begin(self) -> Lock:
        lock = own_folder(self.folder, PART)
        self.folder.chmod(0o711)
        return lock


def image_id(base: Base) -> str:
    """The name that an image has in every store, which tells it from all others, configuration and layers."""
    return _hex(digest_of(_config(base)))


def _config(base: Base) -> bytes:
    """The base's configuration, with the digest of its manifest.

    buildah calls images by their configurations, and does not compare these with the layers that come with
    them: without it, two bases with one configuration would be one image.
    """
    assert base.manifest is not None, "scratch has no image"  # noqa: S101 - see BaseStores.of
    return json.dumps({**base.config, "manifest": base.manifest.digest}, sort_keys=True).encode()


def _manifest(base: Base) -> bytes:
    """The base's manifest, with that configuration."""
    assert base.manifest is not None, "scratch has no image"  # noqa: S101 - see BaseStores.of
    value, config = json.loads(base.manifest.raw), _config(base)
    value["config"] |= {"digest": digest_of(config), "size": len(config)}
    return json.dumps(value).encode()


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def write_image(base: Base, blobs: list[Path], job: Path) -> Path:
    """A base as a folder that buildah reads (`dir:` transport), whose layers are links to the cache.

    Not as an OCI layout, for buildah finds no manifests of Docker's format in one.
    """
    folder = job / f"base-{image_id(base)}"
    folder.mkdir(parents=True)
    (folder / "version").write_text("Directory Transport Version: 1.1\n", encoding="ascii")
    (folder / "manifest.json").write_bytes(_manifest(base))
    (folder / image_id(base)).write_bytes(_config(base))
    for layer, blob in zip(base.layers, blobs, strict=True):
        with contextlib.suppress(FileExistsError):
            (folder / _hex(layer.digest)).symlink_to(blob)
    return folder


async def remove(folders: list[Path], sandbox: Sandbox, job: Path) -> None:
    """Remove folders whose files belong to users that only a sandbox has."""
    if sandbox.is_root:
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    else:
        await sandbox.run(_REMOVE, folders, job, _ignore, log_limit=0)


def _ignore(line: str) -> None:
    """Nobody wants to know."""


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _exists(path: Path) -> bool:
    return path.exists()
