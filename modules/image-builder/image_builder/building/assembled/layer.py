"""The changes of a tree as one layer: the same bytes wherever and whenever it is written."""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from ..stop import Stop
from .nodes import Kind, Node, Part

_CHUNK = 1024 * 1024
_LEVEL = 6
# No name, no time, no operating system (RFC 1952): Python's own writer puts the time in.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True)
class WrittenLayer:
    """A layer on the disk.

    Attributes:
        path: where it is, compressed by gzip.
        digest: digest of it.
        size: its bytes.
        diff_id: digest of the tar archive in it.
    """

    path: Path
    digest: str
    size: int
    diff_id: str


class _Compressed:
    """Compresses what is written, and knows the digests of both sides."""

    def __init__(self, target: BinaryIO, stop: Stop) -> None:
        self.size = 0
        self._target = target
        self._stop = stop
        self._inner, self._outer = hashlib.sha256(), hashlib.sha256()
        self._compress = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._sum, self._length = 0, 0
        self._emit(_HEADER)

    def write(self, data: bytes) -> int:
        """Take more of the archive."""
        self._stop.check()
        self._inner.update(data)
        self._sum = zlib.crc32(data, self._sum)
        self._length += len(data)
        self._emit(self._compress.compress(data))
        return len(data)

    def finish(self) -> tuple[str, str]:
        """End the stream; the digests of what was written and of what was stored."""
        self._emit(self._compress.flush())
        self._emit(self._sum.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little"))
        return f"sha256:{self._inner.hexdigest()}", f"sha256:{self._outer.hexdigest()}"

    def _emit(self, data: bytes) -> None:
        self._outer.update(data)
        self.size += len(data)
        self._target.write(data)


class LayerWriter:
    """Writes a layer; a context manager.

    Args:
        path: where it is written.
        stop: asked as the work gets on.

    Attributes:
        written: the layer, when it is complete.
    """

    written: WrittenLayer

    def __init__(self, path: Path, stop: Stop) -> None:
        self._path = path
        self._target = path.open("wb")
        self._compressed = _Compressed(self._target, stop)
        stream = cast(BinaryIO, self._compressed)  # a stream is written to, and asked for nothing else
        self._tar = tarfile.open(  # noqa: SIM115 - closed by __exit__
            fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._target:
            if error is None:
                self._tar.close()
                diff_id, digest = self._compressed.finish()
                self.written = WrittenLayer(self._path, digest, self._compressed.size, diff_id)

    def add(self, header: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Add an entry."""
        self._tar.addfile(header, content)


def write_layer(changes: Mapping[str, Node], path: Path, time: int, stop: Stop) -> WrittenLayer:
    """Write the changes, in the order of their paths.

    Args:
        changes: what the layer holds, by path.
        path: where it is written.
        time: seconds since 1970 that every entry gets.
        stop: asked as the work gets on.
    """
    with LayerWriter(path, stop) as writer:
        for name in sorted(changes, key=lambda name: name.split("/")):
            node = changes[name]
            with _content(node) as content:
                writer.add(_header(name, node, time), content)
    return writer.written


def _header(name: str, node: Node, time: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type = node.kind.value.encode()
    header.mode, header.uid, header.gid, header.mtime = node.mode, node.uid, node.gid, time
    header.linkname = node.target if node.kind in (Kind.SYMLINK, Kind.LINK) else ""
    header.size = node.size if node.kind is Kind.FILE else 0
    header.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in node.xattrs}
    return header


def _content(node: Node) -> BinaryIO:
    if isinstance(node.content, Part):
        stream = node.content.path.open("rb")
        stream.seek(node.content.offset)
        return stream
    return io.BytesIO(node.content or b"")
