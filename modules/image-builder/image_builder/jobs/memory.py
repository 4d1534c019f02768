"""How much of the memory the service and its builds use."""

from collections.abc import Iterator
from pathlib import Path

_PAGE = 4096  # bytes; statm counts in pages
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_percent(process: int, proc: Path = Path("/proc")) -> float:
    """What a process and all that it started have in memory, in percent of what there is."""
    used = sum(_resident(proc / str(pid)) for pid in _family(process, proc))
    return 100 * used / _total(proc)


def _family(process: int, proc: Path) -> Iterator[int]:
    yield process
    try:
        threads = list((proc / str(process) / "task").iterdir())
    except OSError:  # it has ended meanwhile
        return
    for children in (thread / "children" for thread in threads):
        for child in _text(children).split():
            yield from _family(int(child), proc)


def _resident(folder: Path) -> int:
    fields = _text(folder / "statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _total(proc: Path) -> int:
    """The machine's memory, or the container's limit if that is less, in bytes."""
    machine = int(_text(proc / "meminfo").split("MemTotal:")[1].split()[0]) * 1024
    limits = [int(text) for text in map(_text, _CGROUP_LIMITS) if text.strip().isdigit()]
    return min([machine, *limits])


def _text(path: Path) -> str:
    """The file's text; empty when the process has ended meanwhile."""
    try:
        return path.read_text("ascii")
    except OSError:
        return ""
