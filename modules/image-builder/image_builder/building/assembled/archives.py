"""Archives that `add` unpacks: read in one go, without a byte of them trusted."""

import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath
from typing import BinaryIO

from ..errors import InvalidRequestError, LimitExceededError
from ..stop import Stop
from .archive_stream import BROKEN, COMPRESSED, TooLargeError, entries, open_archive
from .base_index import WHITEOUT, xattrs_of
from .nodes import LONGEST_PATH, Kind, Node, Part, too_long
from .spool import Spool

_TRIED = 1024 * 1024  # bytes in which an archive has its first entry
_TAR_AT, _TAR = 257, b"ustar"
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.LNKTYPE: Kind.LINK,
}


def open_content(content: bytes | Part | None) -> BinaryIO:
    """Content as a stream."""
    if isinstance(content, Part):
        stream = content.path.open("rb")
        stream.seek(content.offset)
        return stream
    return BytesIO(content or b"")


def is_archive(node: Node) -> bool:
    """Whether `add` unpacks a file: a tar archive, plain or by gzip, bzip2 or xz."""
    with open_content(node.content) as stream:
        if stream.read(_TAR_AT + len(_TAR))[_TAR_AT:] == _TAR:
            return True
    with open_content(node.content) as stream:
        if not stream.read(8).startswith(COMPRESSED):
            return False
    try:
        with open_content(node.content) as stream, open_archive(stream, _TRIED, Stop()) as tar:
            return tar.next() is not None
    except BROKEN:
        return False


def unpack(node: Node, spool: Spool, subject: str) -> Iterator[tuple[str, Node]]:
    """The entries of an archive, in its order, by their path below the destination.

    Hard links become files of their own, so that each counts with its size.

    Raises:
        InvalidRequestError: an entry leads out of the destination, is a device, or the archive is broken.
        LimitExceededError: it is larger than allowed.
    """
    files: dict[str, Node] = {}
    try:
        with (
            open_content(node.content) as stream,
            open_archive(stream, spool.most_of_an_archive, spool.stop) as tar,
        ):
            for member in entries(tar):
                path = _path(member.name, subject)
                spool.count(member.size if member.isreg() else 0, subject)
                found = _entry(tar, member, files, spool, subject)
                if found.kind is Kind.FILE:
                    files[path] = found
                if path:
                    yield path, found
    except TooLargeError as error:
        raise LimitExceededError(f"{subject}: {error}") from None
    except BROKEN as error:
        raise InvalidRequestError(f"{subject}: the archive is broken ({type(error).__name__})") from None


def _entry(
    tar: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, Node], spool: Spool, subject: str
) -> Node:
    kind = _KINDS.get(member.type)
    if kind is None:
        raise InvalidRequestError(f"{subject}: {member.name[:100]!r} is a device or a pipe")
    if kind is Kind.LINK:
        linked = files.get(_path(member.linkname, subject))
        if linked is None:
            raise InvalidRequestError(
                f"{subject}: {member.name[:100]!r} is a hard link to {member.linkname[:100]!r}, which is no "
                "file of the archive before it"
            )
        spool.count(linked.size, subject)
        return linked
    if not (0 <= member.uid < 2**32 and 0 <= member.gid < 2**32):
        raise InvalidRequestError(f"{subject}: {member.name[:100]!r} has no owner that Linux knows")
    content = None
    size = member.size if kind is Kind.FILE else 0
    if kind is Kind.FILE:
        stream = tar.extractfile(member)
        content = spool.take(stream, member.size) if stream else b""  # type: ignore[arg-type]
    if too_long(member.linkname):
        raise InvalidRequestError(
            f"{subject}: {member.name[:100]!r} is a link to more than {LONGEST_PATH} bytes"
        )
    target = member.linkname if kind is Kind.SYMLINK else ""
    return Node(kind, member.mode & 0o7777, member.uid, member.gid, size, target, content, xattrs_of(member))


def _path(name: str, subject: str) -> str:
    if too_long(name):
        raise InvalidRequestError(f"{subject}: {name[:100]!r}… is a path of more than {LONGEST_PATH} bytes")
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    if ".." in parts:
        raise InvalidRequestError(f"{subject}: {name[:100]!r} leads out of the destination")
    if any(part.startswith(WHITEOUT) for part in parts):
        raise InvalidRequestError(f"{subject}: {name[:100]!r} would delete a file of the image")
    if "\0" in name:
        raise InvalidRequestError(f"{subject}: {name[:100]!r} is no name of a file")
    return "/".join(parts)
