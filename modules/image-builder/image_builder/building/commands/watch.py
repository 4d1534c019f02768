"""Keeps the processes of a build within their memory, which no limit of a single process does."""

import asyncio
import os
from collections import defaultdict
from pathlib import Path

from ..errors import LimitExceededError

_INTERVAL = 0.25  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_PARENT, _RESIDENT = 1, 21  # fields of /proc/PID/stat behind the name (proc(5))


async def watch_memory(pid: int, limit: int) -> None:
    """Look at a process and all its descendants until they have more memory than allowed.

    Raises:
        LimitExceededError: they have.
    """
    while True:
        await asyncio.sleep(_INTERVAL)
        used = await asyncio.to_thread(resident, pid)
        if used > limit:
            raise LimitExceededError(
                f"the build's processes have {used} bytes of memory, the limit is {limit}"
            )


def resident(root: int) -> int:
    """Bytes of memory of a process and its descendants; pages that they share count for each."""
    memory: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _fields(entry)
            if fields:
                memory[int(entry.name)] = int(fields[_RESIDENT]) * _PAGE
                children[int(fields[_PARENT])].append(int(entry.name))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += memory.get(pid, 0)
        waiting += children[pid]
    return total


def _fields(entry: Path) -> list[str]:
    """What /proc/PID/stat has behind the name; nothing for a process that has just ended."""
    try:
        return (entry / "stat").read_text("utf-8", "replace").rpartition(") ")[2].split()
    except OSError:
        return []
