"""What a base's layers hold, read once and kept by the digests of the layers."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..stop import Stop
from .archive_stream import entries, open_archive
from .nodes import LONGEST_PATH, Kind, Node, too_long

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_ACCOUNTS = ("etc/passwd", "etc/group")
_ACCOUNT_LIMIT = 1024 * 1024  # bytes of such a file that are read
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.LNKTYPE: Kind.LINK,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.DIRTYPE: Kind.FOLDER,
}
_MOST = 128 * 1024**3  # bytes of a layer, decompressed
_XATTR = "SCHILY.xattr."


@dataclass
class BaseIndex:
    """The merged content of some layers, without the bytes of its files.

    Attributes:
        nodes: by path, without a slash at either end; a hard link is the file that it links to.
        layer: number of the layer that a file's bytes are in, by path.
        member: name under which that layer has them, by path.
        accounts: content of `/etc/passwd` and `/etc/group`.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    layer: dict[str, int] = field(default_factory=dict)
    member: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, bytes] = field(default_factory=dict)


def read_layers(layers: Iterable[Path], stop: Stop) -> BaseIndex:
    """The content of layers that lie on the disk, from the lowest to the highest.

    Raises:
        BROKEN: one is not a tar archive, plain or by gzip.
    """
    index = BaseIndex()
    for number, path in enumerate(layers):
        with path.open("rb") as stream, open_archive(stream, _MOST, stop) as tar:
            _apply(index, number, tar, stop)
    return index


def _apply(index: BaseIndex, number: int, tar: tarfile.TarFile, stop: Stop) -> None:
    """Put a layer on top (OCI image-spec, Applying Changesets)."""
    own: set[str] = set()
    for member in entries(tar):
        stop.check()
        if too_long(member.name) or too_long(member.linkname):
            raise tarfile.TarError(f"a path has more than {LONGEST_PATH} bytes")
        name = _normal(member.name)
        folder, _, last = name.rpartition("/")
        if last == OPAQUE:
            _remove(index, folder, own, itself=False)
        elif last.startswith(WHITEOUT):
            _remove(index, f"{folder}/{last[len(WHITEOUT) :]}".lstrip("/"), own, itself=True)
        elif name:
            _put(index, number, name, member)
            own.add(name)
            if name in _ACCOUNTS and member.isreg() and member.size <= _ACCOUNT_LIMIT:
                stream = tar.extractfile(member)
                index.accounts[name] = stream.read() if stream else b""


def _put(index: BaseIndex, number: int, name: str, member: tarfile.TarInfo) -> None:
    kind = _KINDS.get(member.type, Kind.OTHER)
    before = index.nodes.get(name)
    if before and before.kind is Kind.FOLDER and kind is not Kind.FOLDER:
        _remove(index, name, set(), itself=True)
    if kind is Kind.LINK:
        linked = _normal(member.linkname)
        if linked in index.nodes:
            index.nodes[name] = index.nodes[linked]
            index.layer[name] = index.layer.get(linked, number)
            index.member[name] = index.member.get(linked, linked)
        return
    xattrs = tuple(
        sorted(
            (key.removeprefix(_XATTR), value)
            for key, value in member.pax_headers.items()
            if key.startswith(_XATTR)
        )
    )
    size = member.size if kind is Kind.FILE else 0
    index.nodes[name] = Node(
        kind, member.mode & 0o7777, member.uid, member.gid, size, member.linkname, xattrs=xattrs
    )
    index.layer[name], index.member[name] = number, member.name


def _remove(index: BaseIndex, path: str, own: set[str], *, itself: bool) -> None:
    """Hide what lower layers have at a path and below; what the same layer put there stays."""
    below = f"{path}/" if path else ""
    gone = [
        name
        for name in index.nodes
        if name not in own and ((itself and name == path) or (name.startswith(below) and name != path))
    ]
    for name in gone:
        del index.nodes[name]
        index.layer.pop(name, None)
        index.member.pop(name, None)
        index.accounts.pop(name, None)


def _normal(name: str) -> str:
    parts = PurePosixPath("/", name).parts[1:]
    kept: list[str] = []
    for part in parts:
        if part == "..":
            del kept[-1:]
        else:
            kept.append(part)
    return "/".join(kept)


def members(layer: Path, wanted: set[str], stop: Stop) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a layer with these names, while its archive is open, in the archive's order."""
    with layer.open("rb") as stream, open_archive(stream, _MOST, stop) as tar:
        for member in entries(tar):
            if member.name in wanted:
                yield tar, member
