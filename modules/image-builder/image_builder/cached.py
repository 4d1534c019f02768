"""What lies in the cache's folder: layers of bases, and stores made of them."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

BLOBS = "blobs"
STORES = "stores"
PART = "part-"  # begins the name of what is being made, or removed
STORE_SIZE = "size-kib"  # file in a store with what it takes on the disk


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Attributes:
        used: when it was last used, in seconds since 1970.
        size: bytes on the disk.
        path: file or folder.
    """

    used: float
    size: int
    path: Path


def entries(cache: Path) -> list[Entry]:
    """Everything that is complete, that which was not used for the longest time first."""
    found = []
    for folder in (cache / BLOBS, cache / STORES):
        for path in folder.iterdir() if folder.is_dir() else ():
            if not path.name.startswith((".", PART)):
                with contextlib.suppress(FileNotFoundError):
                    found.append(_entry(path))
    return sorted(found, key=lambda entry: (entry.used, entry.path))


def used_bytes(cache: Path) -> int:
    """Bytes of all entries."""
    return sum(entry.size for entry in entries(cache))


def _entry(path: Path) -> Entry:
    status = path.stat()
    if not path.is_dir():
        return Entry(status.st_mtime, status.st_size, path)
    size = int((path / STORE_SIZE).read_text("ascii")) * 1024
    return Entry(status.st_mtime, size, path)
