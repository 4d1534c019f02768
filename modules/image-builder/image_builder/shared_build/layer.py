"""Rewrites the times in a layer's tar archive; everything else stays, byte for byte.

Formats: POSIX.1-1988 ustar and POSIX.1-2001 pax (pax(1), "ustar Interchange Format" and "pax Header
Block"). Engines write these.
"""

import hashlib
from typing import BinaryIO

BLOCK = 512  # bytes
CHUNK = 1024 * BLOCK
_SIZE, _TIME, _CHECKSUM, _TYPE = slice(124, 136), slice(136, 148), slice(148, 156), 156
_PAX_TYPES = b"xg"
_PAX_TIMES = (b"mtime", b"atime", b"ctime")


class _Hashed:
    """A file that is written to, and the SHA-256 of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)


def clamp_times(source: BinaryIO, target: BinaryIO, latest: int, everything: bool) -> str:
    """Copy a layer so that no time in it is later than `latest`.

    Args:
        source: uncompressed tar archive.
        target: where the copy goes.
        latest: seconds since 1970.
        everything: set every time to `latest`, even an earlier one.

    Returns:
        `sha256:…` of the copy, which is the layer's diff ID.
    """
    copy = _Hashed(target)
    while header := source.read(BLOCK):
        if not header.strip(b"\0"):
            copy.write(header)
            continue
        size = _number(header[_SIZE])
        if header[_TYPE : _TYPE + 1] in _PAX_TYPES:
            records = _without_times(source.read(_padded(size))[:size])
            copy.write(_header(header, len(records), 0))
            copy.write(records.ljust(_padded(len(records)), b"\0"))
            continue
        time = _number(header[_TIME])
        copy.write(_header(header, size, latest if everything or time > latest else time))
        _copy_content(source, copy, _padded(size))
    return f"sha256:{copy.sha256.hexdigest()}"


def _copy_content(source: BinaryIO, copy: _Hashed, size: int) -> None:
    while size:
        data = source.read(min(size, CHUNK))
        if not data:
            raise EOFError("the layer ends within a file")
        copy.write(data)
        size -= len(data)


def _header(header: bytes, size: int, time: int) -> bytes:
    """The header with this size and time, and the checksum that goes with them."""
    fields = bytearray(header)
    if size != _number(header[_SIZE]):
        fields[_SIZE] = b"%011o\0" % size
    fields[_TIME] = b"%011o\0" % time
    fields[_CHECKSUM] = b" " * 8
    fields[_CHECKSUM] = b"%06o\0 " % sum(fields)
    return bytes(fields)


def _number(field: bytes) -> int:
    """An octal number, or GNU's binary one for what octal digits cannot hold."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << 95) - 1)
        return 0 if field[0] & 0x40 else value  # a time before 1970
    return int(field.strip(b"\0 ") or b"0", 8)


def _without_times(records: bytes) -> bytes:
    """The pax records (`length key=value\\n`) but those that hold a time."""
    kept = b""
    while records:
        length = int(records.partition(b" ")[0])
        record, records = records[:length], records[length:]
        if record.partition(b" ")[2].partition(b"=")[0] not in _PAX_TIMES:
            kept += record
    return kept


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
