"""One stage: the file system and configuration that its layers make of its base."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ...layers.dockerfile import AnyLayer
from ...layers.models import Add, Copy, Workdir
from ..errors import InvalidRequestError
from .accounts import owner_of
from .archives import is_archive, unpack
from .base_content import filled
from .nodes import FOLDER, Kind, Node, Part
from .runtime import Runtime
from .sources import below, matching
from .spool import Spool
from .tree import Tree

_FETCHED_MODE = 0o600


@dataclass
class StageResult:
    """A stage as far as it is made.

    Attributes:
        runtime: its configuration.
        tree: its file system; None when nothing has looked at it.
        blobs: layers of its base, on the disk.
    """

    runtime: Runtime
    tree: Tree | None
    blobs: list[Path]


@dataclass(frozen=True)
class Materials:
    """What layers take files from.

    Attributes:
        files: files of the request, by path.
        fetched: files that came from URLs, by the layer's number.
        sources: stages and images, by what `from_layer` names in this stage.
        spool: where content goes.
    """

    files: Mapping[str, Node]
    fetched: Mapping[int, Path]
    sources: Mapping[str, StageResult]
    spool: Spool


def apply(result: StageResult, layer: AnyLayer, number: int, materials: Materials) -> None:
    """Apply a layer to a stage.

    Raises:
        BuildError: it cannot be done; the text names the layer.
    """
    where = f"layers[{number}]"
    if isinstance(layer, Copy | Add):
        _copy(result, layer, number, where, materials)
    result.runtime.apply(layer)
    if isinstance(layer, Workdir):
        tree, user = _tree(result), result.runtime.config.get("User")
        owner = owner_of(user, tree.base.accounts | _new_accounts(tree)) if user else None
        tree.make_folders(result.runtime.path("."), owner)


def _tree(result: StageResult) -> Tree:
    assert result.tree is not None, "a stage with files has a tree"  # noqa: S101 - see StagePlan.has_files
    return result.tree


def _copy(result: StageResult, layer: Copy | Add, number: int, where: str, materials: Materials) -> None:
    tree, runtime = _tree(result), result.runtime
    owner = owner_of(layer.owner, tree.base.accounts | _new_accounts(tree)) if layer.owner else None
    mode = int(layer.permissions, 8) if layer.permissions else None
    to = _Destination(tree, runtime.expand(layer.destination), runtime, owner, mode)
    if isinstance(layer, Add) and layer.is_remote:
        _add_fetched(to, layer, materials.fetched[number], where, materials.spool)
    elif isinstance(layer, Copy) and layer.from_layer:
        _copy_from(to, runtime.expand(layer.source), materials.sources[layer.from_layer], where, materials)
    else:
        unpacking = isinstance(layer, Add)
        _copy_files(to, runtime.expand(layer.source), where, materials, unpacking=unpacking)


class _Destination:
    """Where a layer puts its files."""

    def __init__(
        self, tree: Tree, text: str, runtime: Runtime, owner: tuple[int, int] | None, mode: int | None
    ) -> None:
        self.tree, self.owner, self.mode = tree, owner, mode
        self.path = runtime.path(text.replace("$", "\\$"))
        self.says_folder = text.endswith(("/", "/.", "/..")) or text in (".", "..")
        self.is_folder = self.says_folder or tree.is_folder(self.path)

    def put_file(self, name: str, node: Node) -> None:
        """Put one file: into the folder that the destination is, or in its place."""
        path = f"{self.path}/{name}".lstrip("/") if self.is_folder else self.path
        self.tree.put(path, node.owned(self.owner, self.mode), self.owner)

    def put_below(self, relative: str, node: Node) -> None:
        """Put something below the folder that the destination is."""
        path = "/".join(filter(None, [self.path, relative]))
        self.tree.put(path, node.owned(self.owner, self.mode), self.owner)

    def put_as_it_is(self, relative: str, node: Node) -> None:
        """Put something below the folder with the owner and mode that it has."""
        self.tree.put("/".join(filter(None, [self.path, relative])), node, self.owner)

    def make(self) -> None:
        """Have the folder."""
        self.tree.make_folders(self.path, self.owner)


def _copy_files(to: _Destination, source: str, where: str, materials: Materials, *, unpacking: bool) -> None:
    files = materials.files
    names = matching(files, source, where)
    if len(names) > 1 and not to.says_folder:
        raise InvalidRequestError(
            f"{where}.destination: {len(names)} sources go into a folder, whose name ends with a slash"
        )
    for name in names:
        node = files.get(name, FOLDER)
        if node.kind is Kind.FOLDER:
            to.make()
            for below_it in below(files, name):
                found = files[below_it]
                materials.spool.count(found.size, where)
                to.put_below(below_it[len(name) :].lstrip("/"), found)
        elif unpacking and is_archive(node):
            _unpack(to, node, where, materials.spool)
        else:
            materials.spool.count(node.size, where)
            to.put_file(name.rpartition("/")[2], node)


def _unpack(to: _Destination, archive: Node, where: str, spool: Spool) -> None:
    to.make()
    for path, node in unpack(archive, spool, where):
        to.put_as_it_is(path, node)


def _add_fetched(to: _Destination, layer: Add, file: Path, where: str, spool: Spool) -> None:
    name = unquote(urlsplit(layer.source).path).rpartition("/")[2]
    if to.is_folder and name in ("", ".", ".."):
        raise InvalidRequestError(f"{where}.source: the URL has no name of a file at its end")
    size = file.stat().st_size
    spool.count(size, where)
    to.put_file(name, Node(Kind.FILE, _FETCHED_MODE, size=size, content=Part(file, 0)))


def _copy_from(to: _Destination, source: str, origin: StageResult, where: str, materials: Materials) -> None:
    """Copy from another stage or image; owners stay as they are there unless the layer names one."""
    tree = _tree(origin)
    if "*" in source or "?" in source:
        raise InvalidRequestError(f"{where}.source: wildcards work for files of the request only")
    path = tree.resolve(source)
    node = tree.get(path)
    if node is None:
        raise InvalidRequestError(f"{where}.source: {source!r} is not in that stage or image")
    if node.kind is Kind.FOLDER:
        to.make()
        names = {f"{path}/{name}".lstrip("/"): (name, found) for name, found in tree.below(path)}
    else:
        names = {path: ("", node)}
    for _, found in names.values():
        materials.spool.count(found.size, where)
        if found.kind is Kind.OTHER:
            raise InvalidRequestError(f"{where}.source: {source!r} holds a device or a pipe")
    contents = filled(
        tree.base, origin.blobs, {name: found for name, (_, found) in names.items()}, materials.spool
    )
    for name, (relative, _) in names.items():
        if relative:
            to.put_below(relative, contents[name])
        else:
            to.put_file(PurePosixPath(source).name, contents[name])  # the link's own name, not its target's


def _new_accounts(tree: Tree) -> dict[str, bytes]:
    """Accounts of files that the request itself has put there."""
    found = {}
    for name in ("etc/passwd", "etc/group"):
        node = tree.changes.get(name)
        if node and isinstance(node.content, bytes):
            found[name] = node.content
    return found
