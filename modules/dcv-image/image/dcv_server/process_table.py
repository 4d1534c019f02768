"""What the kernel says about processes (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
STOPPED = ("T", "t")
LONGEST_NAME = 15  # the kernel keeps no more of a process's name
LISTENING = "0A"  # TCP_LISTEN (include/net/tcp_states.h)


def states_of(name: str, proc: Path = PROC) -> list[str]:
    """State letters of all processes of that name; one that has ended and waits for its parent is none."""
    found = (_stat(proc, entry) for entry in _processes(proc))
    return [state for command, state in found if command == name[:LONGEST_NAME] and state not in ("Z", "X")]


def state_of(pid: int, proc: Path = PROC) -> str | None:
    """State letter of one process; None when it has ended."""
    _, state = _stat(proc, str(pid))
    return state if state not in ("", "Z", "X") else None


def listens(port: int, proc: Path = PROC) -> bool:
    """Whether a TCP port has a listener on any address."""
    suffix = f":{port:04X}"
    for name in ("tcp", "tcp6"):
        try:
            with (proc / "net" / name).open(encoding="ascii") as table:
                for line in table:
                    fields = line.split(None, 4)
                    if fields[1].endswith(suffix) and fields[3] == LISTENING:
                        return True
        except FileNotFoundError:  # a kernel without IPv6
            continue
    return False


def _processes(proc: Path) -> Iterator[str]:
    return (entry.name for entry in os.scandir(proc) if entry.name.isdigit())


def _stat(proc: Path, pid: str) -> tuple[str, str]:
    """Name and state letter; both empty when the process is gone."""
    try:
        with (proc / pid / "stat").open(encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    # The name stands in parentheses and may hold any character.
    end = text.rfind(")")
    return text[text.find("(") + 1 : end], text[end + 2 : end + 3]
