"""A stage's file system: what its base has, and what the request's layers put on top of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import InvalidRequestError
from .base_index import WHITEOUT, BaseIndex
from .nodes import FOLDER, LONGEST_PATH, Kind, Node, too_long

_HOPS = 64  # symbolic links on the way to a path


@dataclass
class Tree:
    """A file system of which only the changes will be written.

    Attributes:
        base: what the base has.
        changes: what was put on top, by path.
    """

    base: BaseIndex
    changes: dict[str, Node] = field(default_factory=dict)

    def get(self, path: str) -> Node | None:
        """What is at a path, links not followed; `` is the root."""
        if not path:
            return FOLDER
        return self.changes.get(path) or self.base.nodes.get(path)

    def resolve(self, path: str) -> str:
        """The path with all symbolic links followed, never out of the image; it need not exist.

        Raises:
            InvalidRequestError: links lead in a circle, or the path is too long.
        """
        _check_length(path)
        waiting = [part for part in path.split("/") if part not in ("", ".")][::-1]
        at: list[str] = []
        hops = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del at[-1:]
                continue
            node = self.get("/".join([*at, part]))
            if node is None or node.kind is not Kind.SYMLINK:
                at.append(part)
                continue
            hops += 1
            _check_length("/".join([*at, node.target]))
            if hops > _HOPS:
                raise InvalidRequestError(f"/{path}: symbolic links of the image lead in a circle")
            if node.target.startswith("/"):
                at = []
            waiting += [step for step in node.target.split("/") if step not in ("", ".")][::-1]
        return "/".join(at)

    def is_folder(self, path: str) -> bool:
        """Whether a path, with its links followed, is a folder."""
        node = self.get(self.resolve(path))
        return node is not None and node.kind is Kind.FOLDER

    def make_folders(self, path: str, owner: tuple[int, int] | None) -> str:
        """Have a folder and those above it.

        Args:
            path: the folder; links in it are followed.
            owner: of those that are made.

        Returns:
            The path with its links followed.

        Raises:
            InvalidRequestError: a part of the path is a file.
        """
        found = self.resolve(path)
        parts = found.split("/") if found else []
        for count in range(1, len(parts) + 1):
            above = "/".join(parts[:count])
            node = self.get(above)
            if node is None:
                self._set(above, FOLDER.owned(owner, None))
            elif node.kind is not Kind.FOLDER:
                raise InvalidRequestError(
                    f"/{above} is no folder in the image, so that nothing can be put into it"
                )
        return found

    def put(self, path: str, node: Node, owner: tuple[int, int] | None) -> None:
        """Put a file or link, or a folder with its mode, at a path.

        Args:
            path: where to; links on the way are followed, one at its end is replaced by a file.
            node: what to put there.
            owner: of the folders that have to be made on the way.

        Raises:
            InvalidRequestError: there is a folder where a file should be, or the reverse.
        """
        folder, _, last = path.rpartition("/")
        if node.kind is Kind.FOLDER:
            place = self.make_folders(path, owner)
        else:
            place = "/".join(filter(None, [self.make_folders(folder, owner), last]))
            there = self.get(place)
            if there is not None and there.kind is Kind.FOLDER:
                raise InvalidRequestError(
                    f"/{place} is a folder in the image, so that no file can be put there"
                )
        if place:
            self._set(place, node)

    def _set(self, path: str, node: Node) -> None:
        if any(part.startswith(WHITEOUT) for part in path.split("/")):
            raise InvalidRequestError(
                f"/{path}: names that begin with {WHITEOUT} mean in an image that a file is deleted"
            )
        _check_length(path)
        self.changes[path] = node

    def below(self, path: str) -> Iterator[tuple[str, Node]]:
        """What is below a folder, by its path from there, each folder before its content."""
        inside = f"{path}/" if path else ""
        names = {name for name in self.base.nodes if name.startswith(inside)}
        names |= {name for name in self.changes if name.startswith(inside)}
        for name in sorted(names, key=lambda name: name.split("/")):
            node = self.get(name)
            if node is not None:
                yield name[len(inside) :], node


def _check_length(path: str) -> None:
    if too_long(path):
        raise InvalidRequestError(f"/{path[:100]}…: the path is longer than {LONGEST_PATH} bytes")
