"""An OCI image layout (OCI image-spec, Image Layout), a folder or a tar archive of one, read without trust.

A layout may come from anywhere: names are made from digests that have been checked, nothing that is a
link is opened, and content counts as there only when its size and its digest are right.
"""

import asyncio
import hashlib
import json
import os
import stat
import tarfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from yarl import URL

from .digest import is_digest
from .endpoints import Endpoint
from .errors import InvalidManifest, NotFound, RegistryError
from .manifests import OCI_INDEX, SIZE_LIMIT, Descriptor, Manifest, parse_manifest
from .meter import Meter
from .reference import Reference

LAYOUT_FILE, INDEX_FILE = "oci-layout", "index.json"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, Annotations

_CHUNK = 1024 * 1024  # bytes that are read at a time
_DEPTH_LIMIT = 5  # levels of manifests below the index file

# Stands for the disk where transfers are counted per host.
_DISK = Endpoint(URL("http://layout.invalid"), "", "layout.invalid")

Result = TypeVar("Result")


class LayoutError(RegistryError):
    """A layout is incomplete, was changed, or cannot be read; the text names files and digests."""


def blob_file(digest: str) -> str:
    """Path of a blob inside a layout."""
    return f"blobs/{digest.replace(':', '/')}"


class _Files(Protocol):
    """The files of a layout."""

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """A file at its first byte, and how many bytes belong to it; LayoutError when it is no file."""


class Layout:
    """A layout that is read.

    Args:
        path: a folder, or a tar archive.

    Attributes:
        names: descriptor of each named manifest, by the name in the index file.
        index: the index file's bytes.

    Raises:
        LayoutError: it is not there, is no layout, or its index file is broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: _Files = _Folder(path) if path.is_dir() else _Tar(path)
        self._check_version(self._content(LAYOUT_FILE))
        self.index = self._content(INDEX_FILE)
        self._roots, self.names = _parse_index(self.index, f"{path}/{INDEX_FILE}")
        self._known = {root.digest: root for root in self._roots}

    async def check(self, meter: Meter) -> None:
        """Read everything that the index file leads to, each blob once.

        Args:
            meter: counts the bytes of blobs that are to be read and have been read.

        Raises:
            LayoutError: something is missing or is not what its digest or size says; all of it is listed.
        """
        problems: list[str] = []
        blobs: set[Descriptor] = set()
        level = set(self._roots)
        for _ in range(_DEPTH_LIMIT):
            found = await _in_threads(self._read_manifest, level, problems)
            blobs.update(blob for manifest in found for blob in manifest.blobs)
            level = {child for manifest in found for child in manifest.children}
        if level:
            problems.append(f"{INDEX_FILE}: indexes nest deeper than {_DEPTH_LIMIT}")
        meter.expected += sum(blob.size for blob in blobs)
        counting = threading.Lock()

        def check(blob: Descriptor) -> None:
            if problem := flaw(self._counted(blob, meter, counting), blob):
                raise LayoutError(problem)

        await _in_threads(check, blobs, problems)
        if problems:
            listed = "".join(f"\n  - {problem}" for problem in sorted(set(problems)))
            raise LayoutError(f"{self.path} is incomplete or was changed:{listed}")

    def image(self, reference: Reference) -> "LayoutImage":
        """The image that the index file names `reference`; only asking for it by tag needs the name."""
        return LayoutImage(self, reference)

    def read(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """The content of a blob from byte `start` on, not checked, in chunks of at most 1 MiB.

        Raises:
            LayoutError: it is missing, or its size is another.
        """
        name = blob_file(blob.digest)
        handle, size = self._files.open(name)
        with closing(handle):
            if size != blob.size:
                raise LayoutError(f"{name}: it has {size} bytes, and its descriptor says {blob.size}")
            handle.seek(start, os.SEEK_CUR)
            size -= start
            while size > 0:
                chunk = handle.read(min(_CHUNK, size))
                if not chunk:
                    raise LayoutError(f"{name}: it ends {size} bytes early")
                size -= len(chunk)
                yield chunk

    def manifest(self, digest: str) -> Manifest:
        """A manifest that the index file or a manifest read before points to.

        Raises:
            NotFound: nothing points to it.
            LayoutError: it is missing, or is not what its descriptor says.
        """
        if digest not in self._known:
            raise NotFound(f"{self.path}: it has no image {digest}")
        return self._read_manifest(self._known[digest])

    def _read_manifest(self, descriptor: Descriptor) -> Manifest:
        name = blob_file(descriptor.digest)
        if descriptor.size > SIZE_LIMIT:
            raise LayoutError(f"{name}: a manifest may have at most {SIZE_LIMIT} bytes")
        try:
            manifest = parse_manifest(
                b"".join(self.read(descriptor)),
                content_type=descriptor.media_type,
                subject=name,
                expected_digest=descriptor.digest,
            )
        except LayoutError:
            raise
        except RegistryError as error:
            raise LayoutError(str(error)) from None
        self._known.update((child.digest, child) for child in manifest.children)
        return manifest

    def _counted(self, blob: Descriptor, meter: Meter, counting: threading.Lock) -> Iterator[bytes]:
        for chunk in self.read(blob):
            with counting:
                meter.transferred += len(chunk)
            yield chunk

    def _content(self, name: str) -> bytes:
        handle, size = self._files.open(name)
        with closing(handle):
            if size > SIZE_LIMIT:
                raise LayoutError(f"{self.path}/{name}: it has more than {SIZE_LIMIT} bytes")
            return handle.read(size)

    def _check_version(self, content: bytes) -> None:
        try:
            version = json.loads(content.decode())["imageLayoutVersion"]
        except (ValueError, LookupError, TypeError, RecursionError):
            version = None
        if version != "1.0.0":
            raise LayoutError(f"{self.path}/{LAYOUT_FILE}: this is no OCI image layout of version 1.0.0")


@dataclass(frozen=True)
class LayoutImage:
    """An image in a layout, as a copy reads it; content is checked as that of a registry is."""

    layout: Layout
    reference: Reference
    registry: str = ""
    endpoint: Endpoint = _DISK

    @property
    def repository(self) -> str:
        """The repository that the image was taken from."""
        return self.reference.repository

    def __str__(self) -> str:
        return f"{self.layout.path}:{self.reference}"

    async def head_manifest(self, identifier: str) -> str:
        """The digest of the image, or of another tag of its repository; see `ImageSource`."""
        return identifier if is_digest(identifier) else self._named(identifier).digest

    async def get_manifest(self, identifier: str) -> Manifest:
        """A manifest by its digest, or by a tag of the image's repository; see `ImageSource`."""
        digest = await self.head_manifest(identifier)
        return await asyncio.to_thread(self.layout.manifest, digest)

    async def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        """The content of a blob from byte `start` on, not checked; see `ImageSource`."""
        chunks = self.layout.read(blob, start)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    async def get_referrers(self, digest: str) -> list[bytes]:
        """A layout keeps such lists by their tags only."""
        raise NotFound(f"{self.layout.path}: it has no list of referrers")

    async def list_tags(self) -> list[str]:
        """The tags of the image's repository that the layout has."""
        prefix = f"{self.reference.registry}/{self.reference.repository}:"
        return [name.removeprefix(prefix) for name in self.layout.names if name.startswith(prefix)]

    def _named(self, tag: str) -> Descriptor:
        named = self.reference if tag == self.reference.tag else self.reference.with_tag(tag)
        try:
            return self.layout.names[str(named)]
        except KeyError:
            raise NotFound(f"{self.layout.path}: it has no {named}") from None


def flaw(chunks: Iterable[bytes], blob: Descriptor) -> str | None:
    """What is wrong with the content of a blob: None when its digest is right."""
    algorithm, _, expected = blob.digest.partition(":")
    hasher = hashlib.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
    if hasher.hexdigest() == expected:
        return None
    return f"{blob_file(blob.digest)}: its content has the digest {algorithm}:{hasher.hexdigest()}"


class _Folder:
    """A layout in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> tuple[BinaryIO, int]:
        path = self._path / name
        folder = path.parent
        while folder != self._path:
            if folder.is_symlink():
                raise LayoutError(f"{folder}: it is a link")
            folder = folder.parent
        try:
            # Without O_NONBLOCK, opening a pipe would wait for its writer.
            handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except OSError as error:
            what = "it is a link" if path.is_symlink() else f"{error.strerror}"
            raise LayoutError(f"{path}: {what}") from None
        status = os.fstat(handle.fileno())
        if not stat.S_ISREG(status.st_mode):
            handle.close()
            raise LayoutError(f"{path}: it is no regular file")
        return handle, status.st_size


class _Tar:
    """A layout in a tar archive that is not compressed; nothing is unpacked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}  # name -> offset and size
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    self._add(member)
        except OSError as error:
            raise LayoutError(f"{path}: {error.strerror}") from None
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise LayoutError(f"{path}: it is no folder, and no whole tar archive: {error}") from None

    def open(self, name: str) -> tuple[BinaryIO, int]:
        if name not in self._places:
            raise LayoutError(f"{self._path}: it has no {name}")
        offset, size = self._places[name]
        handle = self._path.open("rb")
        handle.seek(offset)
        return handle, size

    def _add(self, member: tarfile.TarInfo) -> None:
        name = member.name.removeprefix("./")
        if member.isdir():
            return
        if not member.isreg() or member.issparse():
            raise LayoutError(f"{self._path}: {name!r} in it is neither a file nor a folder")
        if name in self._places:
            raise LayoutError(f"{self._path}: it has {name!r} twice")
        self._places[name] = (member.offset_data, member.size)


def _parse_index(raw: bytes, subject: str) -> tuple[tuple[Descriptor, ...], Mapping[str, Descriptor]]:
    """The manifests that an index file lists, and those among them that have a name."""
    try:
        roots = parse_manifest(raw, content_type=OCI_INDEX, subject=subject).children
    except InvalidManifest as error:
        raise LayoutError(str(error)) from None
    by_digest = {root.digest: root for root in roots}
    names: dict[str, Descriptor] = {}
    for entry in json.loads(raw)["manifests"]:
        annotations = entry.get("annotations")
        name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
        if not isinstance(name, str):
            continue
        if name in names:
            raise LayoutError(f"{subject}: it has the name {name!r} twice")
        names[name] = by_digest[entry["digest"]]
    return roots, names


async def _in_threads(
    work: Callable[[Descriptor], Result], descriptors: Iterable[Descriptor], problems: list[str]
) -> list[Result]:
    """The results of those that have no problem."""

    async def one(descriptor: Descriptor) -> list[Result]:
        try:
            return [await asyncio.to_thread(work, descriptor)]
        except LayoutError as error:
            problems.append(str(error))
            return []

    found = await asyncio.gather(*(one(descriptor) for descriptor in descriptors))
    return [result for results in found for result in results]
