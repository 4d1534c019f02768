"""Bases as buildah wants them: a store of its own for each, read by any number of builds.

A store is made under another name and renamed when it is complete, so that nobody sees half of one; it
is removed as a whole.
"""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...oci.coalesce import Coalescer
from ...oci.digest import digest_of
from ..bases import Base
from ..errors import BaseUnavailableError
from .sandbox import Sandbox

_PULL = (
    'exec buildah --root "$1" --runroot "$2" --storage-driver overlay pull --quiet '
    '--signature-policy "$3" "oci:$4:base"'
)
_REMOVE = 'rm -rf -- "$@"'
_IN_USE = 3600.0  # seconds for which a store is kept after its last use, whatever the cache's size
_LOG = 64 * 1024  # bytes


@dataclass
class BaseStores:
    """The stores of this machine.

    Args:
        folder: where they are.
    """

    folder: Path
    _work: Coalescer = field(default_factory=Coalescer)

    async def of(self, base: Base, blobs: list[Path], sandbox: Sandbox, job: Path) -> Path:
        """The store of a base, made when it is not there.

        Args:
            base: an image; `scratch` has no store.
            blobs: its layers on the disk.
            sandbox: where it is made.
            job: folder of the build that needs it.

        Raises:
            BaseUnavailableError: buildah does not take it.
        """
        store = self.folder / image_id(base)
        try:
            os.utime(store)
        except FileNotFoundError:
            await self._work.run(store.name, lambda: self._make(base, blobs, sandbox, job, store))
        return store

    async def _make(self, base: Base, blobs: list[Path], sandbox: Sandbox, job: Path, store: Path) -> None:
        layout = await asyncio.to_thread(write_layout, base, blobs, job)
        new = await asyncio.to_thread(self._begin)
        sandbox.own(new)
        lines: list[str] = []
        try:
            status = await sandbox.run(
                _PULL,
                # By its name in the build's folder: buildah makes an image's name of this path, and not all
                # paths can be one.
                [new, job / "pull-run", job / "policy.json", layout.name],
                job,
                lines.append,
                log_limit=_LOG,
            )
            if status:
                raise BaseUnavailableError(f"base {base.reference}: {' '.join(lines[-2:])[-500:]}")
            _note_size(new, base)
            with contextlib.suppress(OSError):  # somebody else was quicker
                _rename(new, store)
        finally:
            if _exists(new):
                await remove([new], sandbox, job)

    def _begin(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        return Path(tempfile.mkdtemp(dir=self.folder, prefix="part-"))

    async def trim(self, size: int, sandbox: Sandbox, job: Path) -> int:
        """Remove what was not used for the longest time, until the rest fits; how many stores went.

        Args:
            size: bytes that may stay.
            sandbox: where they are removed, for their files belong to many users.
            job: folder to run in.
        """
        gone = 0
        found = await asyncio.to_thread(self._by_use)
        total = sum(used for _, used, _ in found)
        for last, used, store in found:
            if total <= size or time.time() - last < _IN_USE:
                break
            await remove([store], sandbox, job)
            total -= used
            gone += 1
        return gone

    def _by_use(self) -> list[tuple[float, int, Path]]:
        found = []
        for store in self.folder.iterdir() if self.folder.is_dir() else ():
            # Its layers as they were sent; unpacked they are two to three times as large.
            config = store / "size"
            size = int(config.read_text("ascii")) if config.exists() else 0
            found.append((store.stat().st_mtime, size, store))
        return sorted(found)


def image_id(base: Base) -> str:
    """The name that an image has in every store: the digest of its configuration, without algorithm."""
    return digest_of(base.raw_config).partition(":")[2]


def write_layout(base: Base, blobs: list[Path], job: Path) -> Path:
    """A base as an OCI image layout, whose layers are links to the cache."""
    assert base.manifest is not None, "scratch has no layout"  # noqa: S101 - see BaseStores.of
    layout = job / f"layout-{image_id(base)[:12]}"
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True)
    contents: Mapping[str, bytes] = {
        base.manifest.digest: base.manifest.raw,
        digest_of(base.raw_config): base.raw_config,
    }
    for digest, content in contents.items():
        (folder / digest.partition(":")[2]).write_bytes(content)
    for layer, blob in zip(base.layers, blobs, strict=True):
        with contextlib.suppress(FileExistsError):
            (folder / layer.digest.partition(":")[2]).symlink_to(blob)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")
    entry = {
        "mediaType": base.manifest.media_type,
        "digest": base.manifest.digest,
        "size": len(base.manifest.raw),
        "annotations": {"org.opencontainers.image.ref.name": "base"},
    }
    index = {"schemaVersion": 2, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return layout


async def remove(folders: list[Path], sandbox: Sandbox, job: Path) -> None:
    """Remove folders whose files belong to users that only a sandbox has."""
    if sandbox.is_root:
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    else:
        await sandbox.run(_REMOVE, folders, job, _ignore, log_limit=0)


def _ignore(line: str) -> None:
    """Nobody wants to know."""


def _note_size(store: Path, base: Base) -> None:
    (store / "size").write_text(str(sum(layer.size for layer in base.layers)), encoding="ascii")


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _exists(path: Path) -> bool:
    return path.exists()
