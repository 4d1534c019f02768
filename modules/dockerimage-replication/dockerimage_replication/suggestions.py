"""The path that was probably meant, for a value path that a chart does not have."""

import difflib
import re
from collections import deque
from collections.abc import Iterator, Mapping

from .problems import Sought
from .values import Values

# Aliases let a few lines of YAML stand for a tree without end.
MAX_DEPTH = 12  # keys of a path; charts have about eight
MAX_NODES = 20_000  # of a tree; charts have some thousand

_KEY = re.compile(r"[^.\s]{1,100}")  # what a path in a data file can address


def nearest(sought: Sought) -> str | None:
    """The path in the tree that is most like the one that was sought.

    One with the same last key comes before all others: a `tag` that moved is still a tag. None when
    the path itself is there, or nothing is like it.
    """
    paths = list(text_paths(sought.tree))
    if sought.path in paths:
        return None
    last = sought.path.rpartition(".")[2]
    same = [path for path in paths if path.rpartition(".")[2] == last]
    found = difflib.get_close_matches(sought.path, same, n=1, cutoff=0.0)
    found += difflib.get_close_matches(sought.path, paths, n=1)
    return found[0] if found else None


def text_paths(tree: Values) -> Iterator[str]:
    """The paths of all texts and numbers that a data file can address, the short ones first."""
    waiting: deque[tuple[tuple[str, ...], Values]] = deque([((), tree)])
    left = MAX_NODES
    while waiting:
        folder, branch = waiting.popleft()
        for key, value in branch.items():
            left -= 1
            if left < 0:
                return
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                continue
            path = (*folder, key)
            if not isinstance(value, Mapping):
                if not isinstance(value, list):
                    yield ".".join(path)
            elif len(path) < MAX_DEPTH:
                waiting.append((path, value))
