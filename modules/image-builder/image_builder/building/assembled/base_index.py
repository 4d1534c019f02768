"""What a base's layers hold, read once and kept by the digests of the layers."""

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import LimitExceededError
from ..stop import Stop
from .archive_stream import entries, open_archive
from .nodes import FOLDER, LONGEST_PATH, Kind, Node, too_long

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
_CHARACTERS = 256 * 1024**2  # of all paths of a base
_XATTR = "SCHILY.xattr."


@dataclass
class BaseIndex:
    """The merged content of some layers, without the bytes of its files.

    Attributes:
        nodes: by path, without a slash at either end; a hard link is the file that it links to.
        layer: number of the layer that a file's bytes are in, by path.
        member: name under which that layer has them, by path.
        accounts: content of `/etc/passwd` and `/etc/group`.
        children: paths of what is in a folder, by the folder's path.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    layer: dict[str, int] = field(default_factory=dict)
    member: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, bytes] = field(default_factory=dict)
    children: dict[str, set[str]] = field(default_factory=dict)

    def put(self, path: str, node: Node) -> None:
        """Have a node at a path."""
        self.nodes[path] = node
        self.children.setdefault(path.rpartition("/")[0], set()).add(path)

    def remove(self, path: str) -> None:
        """Have nothing at a path; what is below it stays."""
        if self.nodes.pop(path, None) is None:
            return
        self.children[path.rpartition("/")[0]].discard(path)
        self.layer.pop(path, None)
        self.member.pop(path, None)
        self.accounts.pop(path, None)


def read_layers(layers: Iterable[Path], most: int, stop: Stop) -> BaseIndex:
    """The content of layers that lie on the disk, from the lowest to the highest.

    Args:
        layers: the layers.
        most: entries that they may have together.
        stop: asked as the work gets on.

    Raises:
        BROKEN: one is not a tar archive, plain or by gzip.
        LimitExceededError: they have more entries, or longer paths in sum.
    """
    reading = _Reading(BaseIndex(), most, stop)
    for number, path in enumerate(layers):
        with path.open("rb") as stream, open_archive(stream, _MOST, stop) as tar:
            _Layer(reading, number).apply(tar)
    return reading.index


@dataclass
class _Reading:
    """An index as it grows."""

    index: BaseIndex
    most: int
    stop: Stop
    entries: int = 0
    characters: int = 0

    def count(self, path: str) -> None:
        self.stop.check()
        self.entries += 1
        self.characters += len(path)
        if self.entries > self.most:
            raise LimitExceededError(f"its layers have more than {self.most} entries, the limit")
        if self.characters > _CHARACTERS:
            raise LimitExceededError(
                f"paths in its layers have more than {_CHARACTERS} characters, the limit"
            )


@dataclass
class _Layer:
    """One layer as it is put on top of those below it (OCI image-spec, Applying Changesets).

    Attributes:
        reading: what the layers below have.
        number: the layer's number.
        own: what it has put there itself, and the folders above that.
        hidden: below which paths it has hidden what is not its own.
    """

    reading: _Reading
    number: int
    own: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)

    def apply(self, tar: tarfile.TarFile) -> None:
        index = self.reading.index
        for member in entries(tar):
            if too_long(member.name) or too_long(member.linkname):
                raise tarfile.TarError(f"a path has more than {LONGEST_PATH} bytes")
            name = _normal(member.name)
            self.reading.count(name)
            folder, _, last = name.rpartition("/")
            if last == OPAQUE:
                self._hide(folder, itself=False)
            elif last.startswith(WHITEOUT):
                self._hide(f"{folder}/{last[len(WHITEOUT) :]}".lstrip("/"), itself=True)
            elif name:
                self._put(name, member)
                if name in _ACCOUNTS and member.isreg() and member.size <= _ACCOUNT_LIMIT:
                    stream = tar.extractfile(member)
                    index.accounts[name] = stream.read() if stream else b""

    def _put(self, name: str, member: tarfile.TarInfo) -> None:
        index = self.reading.index
        kind = _KINDS.get(member.type, Kind.OTHER)
        before = index.nodes.get(name)
        if before and before.kind is Kind.FOLDER and kind is not Kind.FOLDER:
            self._remove([name], set())
        if kind is Kind.LINK:
            linked = _normal(member.linkname)
            if linked in index.nodes:
                self._have(name, index.nodes[linked])
                index.layer[name] = index.layer.get(linked, self.number)
                index.member[name] = index.member.get(linked, linked)
            return
        xattrs = xattrs_of(member)
        size = member.size if kind is Kind.FILE else 0
        self._have(
            name,
            Node(kind, member.mode & 0o7777, member.uid, member.gid, size, member.linkname, xattrs=xattrs),
        )
        index.layer[name], index.member[name] = self.number, member.name

    def _have(self, path: str, node: Node) -> None:
        """Put something there, and the folders above it that no layer has an entry for."""
        self.reading.index.put(path, node)
        self.own.add(path)
        folder = path.rpartition("/")[0]
        while folder and folder not in self.own:
            self.own.add(folder)
            self.reading.count(folder)
            if folder not in self.reading.index.nodes:
                self.reading.index.put(folder, FOLDER)
            folder = folder.rpartition("/")[0]

    def _hide(self, path: str, *, itself: bool) -> None:
        """Hide what lower layers have at a path and below; what the same layer put there stays."""
        if path not in self.hidden:
            self.hidden.add(path)
            self._remove([*self.reading.index.children.get(path, ())], self.own)
        if itself and path not in self.own:
            self.reading.index.remove(path)

    def _remove(self, paths: list[str], kept: set[str]) -> None:
        """Have no more of some paths, nor of what is below them, but for those that are kept."""
        index = self.reading.index
        while paths:
            self.reading.stop.check()
            path = paths.pop()
            paths += index.children.get(path, ())
            if path not in kept:
                index.remove(path)


def xattrs_of(member: tarfile.TarInfo) -> tuple[tuple[str, str], ...]:
    """Extended attributes of an entry."""
    return tuple(
        sorted(
            (key.removeprefix(_XATTR), value)
            for key, value in member.pax_headers.items()
            if key.startswith(_XATTR)
        )
    )


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
