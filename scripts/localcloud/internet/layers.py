"""File trees, and the layers made of them: the same tree always becomes the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from .oci import Layout

# Every file of every layer has this time; nothing of when a layer was built gets into it.
TIMESTAMP = 1704067200
CREATED = "2024-01-01T00:00:00Z"
_COMPRESSION = 6


@dataclass(frozen=True)
class Entry:
    """One file, folder or link; its content is read only when the layer is written."""

    path: str
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    read: Callable[[], bytes] = bytes


Tree = dict[str, Entry]


@dataclass(frozen=True)
class Layer:
    """A compressed layer in a content store, and the digest of its uncompressed bytes."""

    digest: str
    size: int
    diff_id: str


def directory(path: str, mode: int = 0o755) -> Entry:
    """Return a folder."""
    return Entry(path, tarfile.DIRTYPE, mode)


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    """Return a file with this content."""
    return Entry(path, mode=mode, read=lambda: content)


def symlink(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, tarfile.SYMTYPE, 0o777, target=target)


def tree(entries: Iterable[Entry]) -> Tree:
    """Return a tree of these entries; a later one replaces an earlier one at the same path."""
    return {entry.path: entry for entry in entries}


def with_parents(files: Tree) -> Tree:
    """Add the folders in which the entries lie, where the tree does not have them itself."""
    parents = {str(parent) for path in files for parent in Path(path).parents} - {"."}
    return tree(directory(path) for path in parents) | files


def read_tar(archive: tarfile.TarFile) -> Tree:
    """Return the tree of an archive, which must stay open until the layer has been written.

    Device files are left out: a container's /dev is made by whoever runs it.
    """
    kept = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)
    entries = (_from_member(archive, member) for member in archive if member.type in kept)
    return tree(entry for entry in entries if entry.path != ".")


def _from_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    path, target = os.path.normpath(member.name), member.linkname
    entry = Entry(path, member.type, member.mode, member.uid, member.gid, target)
    if member.islnk():
        return replace(entry, target=os.path.normpath(target))
    if not member.isreg():
        return entry

    def read() -> bytes:
        stream = archive.extractfile(member)
        return stream.read() if stream else b""

    return replace(entry, kind=tarfile.REGTYPE, read=read)


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Digesting(io.RawIOBase):
    """A writer that hashes and counts what goes through it."""

    def __init__(self, below: _Writable) -> None:
        super().__init__()
        self._below = below
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.hash.update(data)
        self.size += len(data)
        return self._below.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self.hash.hexdigest()}"


def write_layer(files: Tree, layout: Layout) -> Layer:
    """Write a tree as a gzipped tar into a layout's content store."""
    blobs = layout.root / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=blobs, prefix=".layer-", delete=False) as below:
        try:
            compressed = _Digesting(below)
            with gzip.GzipFile("", "wb", _COMPRESSION, compressed, mtime=0) as zipped:
                plain = _Digesting(zipped)
                _write_tar(files, plain)
            below.flush()
            blob = layout.blob(compressed.digest)
            Path(below.name).chmod(0o644)
            Path(below.name).rename(blob)
        except BaseException:
            Path(below.name).unlink(missing_ok=True)
            raise
    return Layer(compressed.digest, compressed.size, plain.digest)


def _write_tar(files: Tree, stream: io.RawIOBase) -> None:
    # A hard link must come after the file it names, so all of them come last.
    ordered = sorted(files.values(), key=lambda entry: (entry.kind == tarfile.LNKTYPE, entry.path))
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in ordered:
            content = entry.read() if entry.kind == tarfile.REGTYPE else b""
            archive.addfile(_member(entry, len(content)), io.BytesIO(content))


def _member(entry: Entry, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(entry.path)
    member.type, member.mode, member.size = entry.kind, entry.mode, size
    member.uid, member.gid, member.linkname = entry.uid, entry.gid, entry.target
    member.mtime = TIMESTAMP
    return member
