"""The bytes of files that lie in a base's layers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .base_index import BaseIndex, members
from .nodes import Kind, Node
from .spool import Spool


def filled(
    index: BaseIndex, blobs: Sequence[Path], nodes: Mapping[str, Node], spool: Spool
) -> dict[str, Node]:
    """Nodes of a base with the content of those that are files; each layer is read once.

    Args:
        index: what the base holds.
        blobs: its layers on the disk.
        nodes: what is wanted, by path.
        spool: where the content goes.

    Raises:
        LimitExceededError: a layer has one of them so often that they are too large together.
    """
    found = dict(nodes)
    wanted: defaultdict[int, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, node in nodes.items():
        if node.kind is Kind.FILE and node.content is None:
            wanted[index.layer[path]][index.member[path]].append(path)
    for number, names in wanted.items():
        taken: set[str] = set()
        for tar, member in members(blobs[number], set(names), spool.stop):
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is None:
                continue
            if member.name in taken:  # the last one counts, and all are kept
                spool.count(member.size, f"{member.name[:100]!r} of a base")
            taken.add(member.name)
            content = spool.take(stream, member.size)  # type: ignore[arg-type]
            for path in names[member.name]:
                found[path] = replace(nodes[path], content=content)
    return found
