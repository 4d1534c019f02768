"""Archives as streams of which no more is decompressed, or kept in memory, than somebody has asked for.

tarfile's own streams decompress whatever a block of the file gives, and its headers may be as large as
they say themselves: some kilobytes of a file would fill the memory.
"""

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol, cast

from ..stop import Stop

BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeError, RecursionError)
"""What reading an archive raises that is none, or one that nobody should read."""

_CHUNK = 64 * 1024
_HEADER = 64 * 1024  # bytes of one header with names and attributes
_GLOBAL = 1024 * 1024  # bytes of all headers that are for the whole archive
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class TooLargeError(tarfile.ReadError):
    """An archive has more bytes than it may."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor as those of bzip2 and xz are: it keeps what it was given."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_FORMATS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b\x08": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=256 * 1024 * 1024),
}
COMPRESSED = tuple(_FORMATS)
"""How files begin that are compressed by gzip, bzip2 or xz."""


class _Plain:
    """What a file holds, decompressed.

    Args:
        source: the file.
        limit: bytes that may be read; None for any number.
        stop: asked for every piece.
    """

    def __init__(self, source: BinaryIO, limit: int | None, stop: Stop) -> None:
        self._source, self._limit, self._stop = source, limit, stop
        self._read = 0
        self._rest = source.read(_CHUNK)
        self._new = next((new for magic, new in _FORMATS.items() if self._rest.startswith(magic)), None)
        self._decompressor = self._new() if self._new else None

    def read(self, size: int) -> bytes:
        """As many bytes as are asked for, fewer at the end.

        Raises:
            TooLargeError: they are more than allowed.
        """
        pieces: list[bytes] = []
        while size > 0:
            self._stop.check()
            piece = self._piece(min(size, _CHUNK))
            if piece is None:
                break
            pieces.append(piece)
            size -= len(piece)
            self._read += len(piece)
            if self._limit is not None and self._read > self._limit:
                raise TooLargeError(f"the archive has more than {self._limit} bytes")
        return b"".join(pieces)

    def close(self) -> None:
        """Nothing: the file is its opener's."""

    def _piece(self, size: int) -> bytes | None:
        """Some bytes, perhaps none; None at the end."""
        if self._decompressor is None:
            piece, self._rest = self._rest[:size], self._rest[size:]
            return piece or self._source.read(size) or None
        if self._decompressor.eof and not self._next_member():
            return None
        data, self._rest = self._rest, b""
        piece = self._decompressor.decompress(data, size)
        if not piece and not self._decompressor.eof:
            self._rest = self._source.read(_CHUNK)
            if not self._rest:
                raise EOFError
        return piece

    def _next_member(self) -> bool:
        """Whether another compressed part follows; zeros or anything else at the end is passed over."""
        assert self._decompressor is not None and self._new is not None  # noqa: S101, PT018 - see _piece
        self._rest = self._decompressor.unused_data or self._source.read(_CHUNK)
        if len(self._rest) < _CHUNK:
            self._rest += self._source.read(_CHUNK)
        if not self._rest.startswith(COMPRESSED):
            return False
        self._decompressor = self._new()
        return True


class _Member(tarfile.TarInfo):
    """A header that has the sizes which headers have."""

    def _proc_member(self, archive: "_Archive") -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.ReadError("an entry has less than no bytes")
        if self.type in _EXTENDED and self.size > _HEADER:
            raise tarfile.ReadError(f"a header has {self.size} bytes")
        if self.type == tarfile.XGLTYPE:
            archive.global_size += self.size
            if archive.global_size > _GLOBAL:
                raise tarfile.ReadError("headers for all entries are too large")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]

    def _proc_sparse(self, _: "_Archive") -> tarfile.TarInfo:
        raise tarfile.ReadError("files with holes have a map without bounds")

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.ReadError("files with holes have a map without bounds")


class _Archive(tarfile.TarFile):
    tarinfo = _Member
    members: list[tarfile.TarInfo]
    global_size = 0


def open_archive(source: BinaryIO, limit: int | None, stop: Stop) -> tarfile.TarFile:
    """An archive that is read from its beginning to its end: a tar, plain or by gzip, bzip2 or xz.

    Args:
        source: the file.
        limit: bytes that the archive may have, decompressed; None for any number.
        stop: asked as the work gets on.

    Raises:
        OSError, EOFError and what BROKEN has: it is none; TooLargeError: it has more bytes.
    """
    plain: Any = _Plain(source, limit, stop)
    return _Archive.open(fileobj=plain, mode="r|", bufsize=_CHUNK)


def entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The entries of an archive, of which none is kept."""
    while (member := archive.next()) is not None:
        if member.size < 0:
            raise tarfile.ReadError("an entry has less than no bytes")
        cast(_Archive, archive).members.clear()
        yield member
