"""Content on its way into a layer: kept on the disk, counted, and never more than allowed."""

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ..errors import LimitExceededError
from ..stop import Stop
from .nodes import Part

_CHUNK = 1024 * 1024
_HEADERS = 8 * 1024  # bytes of an entry's headers and padding, with names as long as they may be
_SMALL = 16 * 1024  # bytes of a file that stays in memory


class Spool:
    """One file on the disk for all content that a build reads; a context manager that closes it.

    Args:
        path: the file, which is made.
        limit: bytes that may be taken in all.
        entries: files, folders and links that may be taken in all.
        stop: asked as the work gets on.

    Attributes:
        stop: the same.
        most_of_an_archive: bytes of the largest archive that holds no more than may be taken.
    """

    def __init__(self, path: Path, limit: int, entries: int, stop: Stop) -> None:
        self.stop = stop
        self.most_of_an_archive = limit + (entries + 1) * _HEADERS
        self._path = path
        self._limit = limit
        self._entries = entries
        self._taken = self._count = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def count(self, size: int, subject: str) -> None:
        """Count one entry and its bytes.

        Raises:
            LimitExceededError: there are more than allowed.
        """
        self.stop.check()
        self._count += 1
        self._taken += size
        if self._taken > self._limit:
            raise LimitExceededError(
                f"{subject}: more than {self._limit} bytes would be copied into the image, the limit"
            )
        if self._count > self._entries:
            raise LimitExceededError(
                f"{subject}: more than {self._entries} files would be copied into the image, the limit"
            )

    def take(self, stream: BinaryIO, size: int) -> bytes | Part:
        """Keep `size` bytes of a stream, which the caller has counted.

        Raises:
            EOFError: the stream has less.
        """
        if size <= _SMALL:
            data = stream.read(size)
            if len(data) != size:
                raise EOFError
            return data
        if self._file is None:
            self._file = self._path.open("wb")
        part = Part(self._path, self._file.tell())
        while size:
            self.stop.check()
            chunk = stream.read(min(_CHUNK, size))
            if not chunk:
                raise EOFError
            self._file.write(chunk)
            size -= len(chunk)
        self._file.flush()
        return part
