"""Process groups: what a program that was stopped has started, and what still runs of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def end(group: int, seconds: float) -> list[str]:
    """Tell every process of the group to end (SIGTERM), and wait; return the names of those that run on.

    A settings daemon writes only then what a user changed last, and the container's end would cut it short.
    """
    with contextlib.ExitStack() as stack:
        waiting = {}
        poll = select.poll()
        for pid in members(group):
            # One that has ended since needs no waiting.
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                stack.callback(os.close, descriptor)
                waiting[descriptor] = pid
                poll.register(descriptor, select.POLLIN)
        if not waiting:
            return []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while waiting and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                del waiting[descriptor]
        return sorted(_name(pid) for pid in waiting.values())


def members(group: int) -> Iterator[int]:
    """Processes of the group that have not ended."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # proc(5): after the name, which may hold anything, come state, parent and group.
            state, _, of, *_ = (folder / "stat").read_text(errors="replace").rpartition(") ")[2].split()
            if int(of) == group and state != "Z":
                yield int(folder.name)


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return str(pid)
