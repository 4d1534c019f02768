"""What a file system of an image holds, without a file system."""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

LONGEST_PATH = 4096  # bytes of a path, as Linux has it (PATH_MAX)


class Kind(Enum):
    """Kinds of nodes; the values are the type flags of tar."""

    FILE = "0"
    LINK = "1"
    SYMLINK = "2"
    FOLDER = "5"
    OTHER = "6"  # devices, pipes


@dataclass(frozen=True)
class Part:
    """Content that is a part of a file on the disk; of a whole file the digest may be known."""

    path: Path
    offset: int
    digest: str | None = None


@dataclass(frozen=True)
class Node:
    """One file, folder or link.

    Attributes:
        kind: what it is.
        mode: permission bits.
        uid: owner.
        gid: group.
        size: bytes of its content.
        target: where a symbolic link points to; the path of the file that a hard link is.
        content: its bytes, or where they are; None for what has none, or when they lie in a base.
        xattrs: extended attributes, by name.
    """

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    content: bytes | Part | None = None
    xattrs: tuple[tuple[str, str], ...] = ()

    def owned(self, owner: tuple[int, int] | None, mode: int | None) -> "Node":
        """The same with another owner and, for what has one, another mode."""
        uid, gid = owner or (self.uid, self.gid)
        kept = self.mode if mode is None or self.kind is Kind.SYMLINK else mode
        return replace(self, uid=uid, gid=gid, mode=kept)


FOLDER = Node(Kind.FOLDER, 0o755)


def too_long(path: str) -> bool:
    """Whether Linux would take it for no path; asked before anything is done with its parts."""
    return len(path.encode("utf-8", "replace")) > LONGEST_PATH
