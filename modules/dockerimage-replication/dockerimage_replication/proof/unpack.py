"""The helm program out of Helm's archive; nothing else of the archive is ever written."""

import gzip
import io
import platform
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from ..shared.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_UNPACKED = 500 * 1024 * 1024  # bytes of the whole archive; the public ones have about 70 MB
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname(2) -> as Helm's archives call it
_SHOWN = 5  # members in a message


class _HostileError(Exception):
    """An archive has what no archive of Helm has; the text says what."""


def unpack_helm(archive: Path, target: Path, name: str) -> None:
    """Write `linux-<architecture>/helm` to `target` as a program.

    Args:
        archive: a `.tar.gz`.
        target: where the program goes.
        name: what errors call the archive.

    Raises:
        UserError: it is no such archive, is too large, has members that lead out of it or are links,
            or does not hold the program.
    """
    wanted = PurePosixPath(f"linux-{_ARCHITECTURES.get(platform.machine(), platform.machine())}", "helm")
    seen = []
    try:
        with gzip.open(archive) as unpacked:
            stream = io.BufferedReader(_Limited(unpacked))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for path, content in _files(tar):
                    if path == wanted:
                        if path in seen:
                            raise _HostileError(f"holds {path} twice")
                        _write(content, target)
                    seen.append(path)
    except _HostileError as error:
        raise UserError(f"{name} {error}: it is no archive of Helm") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise UserError(f"{name} is not a .tar.gz that can be read: {error}") from None
    if wanted not in seen:
        there = ", ".join(str(path) for path in seen[:_SHOWN])
        raise UserError(f"{name} does not hold {wanted}, which this machine needs (it holds {there})")


def _files(tar: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise _HostileError(f"holds the path {member.name!r}, which leads out of it")
        if member.isdir():
            continue
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise _HostileError(f"holds {member.name!r}, which is neither a file nor a folder")
        yield path, content


def _write(content: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o700)


class _Limited(io.RawIOBase):
    """Unpacked bytes, counted as they are made, so that a small archive cannot fill the disk."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._source.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise _HostileError(f"unpacks to more than {MAX_UNPACKED} bytes")
        view[: len(data)] = data
        return len(data)
