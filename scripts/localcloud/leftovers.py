"""Processes of a container engine that outlived it, as after `kill -9` of its daemon."""

import os
import select
import signal
from pathlib import Path

# Programs of an engine whose command line names the folder that the engine works in.
PROGRAMS = ("dockerd", "containerd", "docker-proxy", "conmon")
END_SECONDS = 10.0


def end_leftovers(folder: Path) -> list[str]:
    """End every engine process that works in `folder`, with the containers below it; return their names."""
    processes = _processes()
    roots = [pid for pid, (name, _parent) in processes.items() if _is_engine(pid, name, folder)]
    doomed = [pid for root in roots for pid in [*_descendants(root, processes), root]]
    for pid in doomed:
        _kill(pid)
    return sorted({processes[pid][0] for pid in doomed})


def _is_engine(pid: int, name: str, folder: Path) -> bool:
    if not name.startswith(PROGRAMS):
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f"{folder}/" in command


def _processes() -> dict[int, tuple[str, int]]:
    """Name and parent of every process (proc(5), /proc/pid/stat)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = path.read_text("utf-8", errors="replace").rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(path.parent.name)] = (head.partition("(")[2], int(rest.split()[1]))
    return found


def _descendants(root: int, processes: dict[int, tuple[str, int]]) -> list[int]:
    children = [pid for pid, (_name, parent) in processes.items() if parent == root]
    return [below for child in children for below in [*_descendants(child, processes), child]]


def _kill(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], END_SECONDS)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
