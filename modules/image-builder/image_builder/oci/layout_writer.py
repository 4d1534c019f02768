"""An OCI image layout (OCI image-spec, Image Layout) that is written: a folder, or a tar archive.

What it will hold is known before the first byte: so the place of each blob in an archive is known too,
blobs can arrive in any order and side by side, and the same content makes the same bytes. Nothing has
its final name before it is whole and on the disk, and the index file comes last.
"""

import asyncio
import fcntl
import os
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, Protocol

from .layout import (
    INDEX_FILE,
    LAYOUT_CONTENT,
    LAYOUT_FILE,
    Layout,
    LayoutError,
    blob_file,
    flaw,
)
from .manifests import Descriptor

_CHUNK = 1024 * 1024  # bytes that are read at a time
_BLOCK = 512  # bytes; what a tar archive is made of (POSIX.1-2017, pax, ustar Interchange Format)
_END = bytes(2 * _BLOCK)

Arguments = ParamSpec("Arguments")


class LayoutWriter(Protocol):
    """A layout under way; its methods may raise an OSError."""

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there already, its content checked."""

    async def write(self, blob: Descriptor, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob; `chunks` must fail in the end unless they are its content."""

    def room(self) -> int:
        """Bytes that are free on the disk."""

    def finish(self) -> None:
        """Give the layout its index file; everything else has to be there."""

    def close(self) -> None:
        """Let go of the files; what is there stays for the next run."""


def open_writer(path: Path, blobs: Sequence[Descriptor], index: bytes) -> LayoutWriter:
    """Begin a layout, or go on with one: a folder, or an archive.

    Args:
        path: where it will be.
        blobs: everything that it will hold, manifests too, each once.
        index: its index file.

    Raises:
        LayoutError: something else is there, or another process writes it.
        OSError: it cannot be written.
    """
    return TarWriter(path, blobs, index) if is_archive(path) else FolderWriter(path, blobs, index)


def is_archive(path: Path) -> bool:
    """Whether a layout of this name is written as a tar archive."""
    return path.suffix == ".tar"


class FolderWriter:
    """A layout in a folder; see `open_writer`."""

    def __init__(self, path: Path, blobs: Sequence[Descriptor], index: bytes) -> None:
        self._path = path
        self._blobs = blobs
        self._index = index
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / LAYOUT_FILE).is_file():
            raise LayoutError(f"{path} is not empty, and no bundle: name another folder")
        self._lock = os.open(path, os.O_RDONLY)
        try:
            _lock(self._lock, path)
            (path / "blobs").mkdir(exist_ok=True)
            for folder in (path / "blobs", *path.glob("blobs/*")):
                if folder.is_symlink():
                    raise LayoutError(f"{folder}: it is a link")
            self._put(LAYOUT_FILE, LAYOUT_CONTENT)
        except BaseException:
            self.close()
            raise

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there; one that is broken is removed."""
        path = self._path / blob_file(blob.digest)
        if not path.is_file() or path.is_symlink():
            return False
        with path.open("rb") as handle:
            if path.stat().st_size == blob.size and not flaw(_pieces(handle.fileno(), 0, blob.size), blob):
                return True
        path.unlink()
        return False

    async def write(self, blob: Descriptor, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob under another name, and give it its own when it is whole."""
        path = self._path / blob_file(blob.digest)
        path.parent.mkdir(exist_ok=True)
        with _temporary(path.parent) as (descriptor, temporary):
            async for chunk in chunks:
                await _in_thread(_write_all, descriptor, chunk)
            await _in_thread(_settle, descriptor, temporary, path)

    def room(self) -> int:
        """Bytes that are free on the disk."""
        return shutil.disk_usage(self._path).free

    def finish(self) -> None:
        """Write the index file, and remove what an earlier or a broken run left."""
        self._put(INDEX_FILE, self._index)
        wanted = {self._path / blob_file(blob.digest) for blob in self._blobs}
        for path in (*self._path.glob("blobs/*"), *self._path.glob("blobs/*/*")):
            if path not in wanted and not path.is_dir():
                path.unlink()

    def close(self) -> None:
        """Let another process write here."""
        os.close(self._lock)

    def _put(self, name: str, content: bytes) -> None:
        with _temporary(self._path / "blobs") as (descriptor, temporary):
            _write_all(descriptor, content)
            _settle(descriptor, temporary, self._path / name)


class TarWriter:
    """A layout in a tar archive; see `open_writer`.

    It grows in `<path>.partial`. The place of each blob follows from the content alone, so a later run
    finds what a broken one has written. Names are in order, and times, owners and modes are fixed.
    """

    def __init__(self, path: Path, blobs: Sequence[Descriptor], index: bytes) -> None:
        self._path = path
        self._index = index
        self._around: dict[int, bytes] = {}  # offset -> what is between the blobs
        self._places: dict[str, int] = {}  # name -> offset of the content
        files = sorted((blob_file(blob.digest), blob.size) for blob in blobs)
        end = 0
        for name, size in [(LAYOUT_FILE, len(LAYOUT_CONTENT)), *files, (INDEX_FILE, len(index))]:
            header, padding = _header(name, size), bytes(-size % _BLOCK)
            self._places[name] = end + len(header)
            self._around[end] = header
            self._around[end + len(header) + size] = padding
            end += len(header) + size + len(padding)
        self._around[end] = _END
        if path.is_dir():
            raise LayoutError(f"{path} is a folder: name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._earlier = Layout(path) if path.exists() else None
        self._partial = path.with_name(f"{path.name}.partial")
        self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            _lock(self._file, path)
        except BaseException:
            self.close()
            raise

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is in its place, or in the archive of an earlier run, from where it is taken."""
        place = self._places[blob_file(blob.digest)]
        if flaw(_pieces(self._file, place, blob.size), blob) is None:
            return True
        if self._earlier is None:
            return False
        try:
            for chunk in self._earlier.read(blob):
                os.pwrite(self._file, chunk, place)
                place += len(chunk)
        except LayoutError:
            return False
        return flaw(_pieces(self._file, place - blob.size, blob.size), blob) is None

    async def write(self, blob: Descriptor, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob to its place."""
        place = self._places[blob_file(blob.digest)]
        async for chunk in chunks:
            await _in_thread(_write_all, self._file, chunk, place)
            place += len(chunk)

    def room(self) -> int:
        """Bytes that are free on the disk."""
        return shutil.disk_usage(self._path.parent).free

    def finish(self) -> None:
        """Write what is around the blobs, and give the archive its name."""
        contents = {self._places[LAYOUT_FILE]: LAYOUT_CONTENT, self._places[INDEX_FILE]: self._index}
        for place, content in sorted({**self._around, **contents}.items()):
            _write_all(self._file, content, place)
        os.truncate(self._file, max(self._around) + len(_END))
        _settle(self._file, self._partial, self._path)

    def close(self) -> None:
        """Let another process write here."""
        os.close(self._file)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LayoutError(f"{path}: another process is writing this bundle") from None


async def _in_thread(
    work: Callable[Arguments, None], *args: Arguments.args, **named: Arguments.kwargs
) -> None:
    """Do it in a thread, to the end even when this is cancelled: its file must not be closed before."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[int, Path]]:
    """A file without its final name; it is gone in the end unless it has got one."""
    descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=folder)
    try:
        yield descriptor, Path(name)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


def _pieces(descriptor: int, place: int, size: int) -> Iterator[bytes]:
    end = place + size
    while place < end and (chunk := os.pread(descriptor, min(_CHUNK, end - place), place)):
        place += len(chunk)
        yield chunk


def _write_all(descriptor: int, content: bytes, place: int | None = None) -> None:
    """Write all of it, at `place` or where the last write ended: the system may take less at a time."""
    rest = memoryview(content)
    while rest:
        written = os.write(descriptor, rest) if place is None else os.pwrite(descriptor, rest, place)
        rest = rest[written:]
        place = None if place is None else place + written


def _settle(descriptor: int, temporary: Path, final: Path) -> None:
    """Have the content on the disk before it has its name, and the name there before going on."""
    os.fchmod(descriptor, 0o644)
    os.fsync(descriptor)
    temporary.rename(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
