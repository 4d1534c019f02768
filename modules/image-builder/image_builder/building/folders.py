"""Folders of builds: each is locked by its process, so that what a killed one has left is known.

The kernel gives a lock back when its process ends, however that is. A lock on the folder of all of them
keeps a new folder, which is not locked yet, from being taken for one that was left.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "build-"


@dataclass(frozen=True)
class LockedFolder:
    """A folder that is ours until it is let go.

    Attributes:
        path: where it is.
        lock: the descriptor that holds the lock.
    """

    path: Path
    lock: int

    def let_go(self) -> None:
        """Others may have it."""
        os.close(self.lock)


def new_folder(work: Path) -> LockedFolder:
    """A new folder for one build."""
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(work, fcntl.LOCK_SH):
        path = Path(tempfile.mkdtemp(dir=work, prefix=_PREFIX))
        found = _taken(path)
    assert found is not None, "nobody takes a folder while it is being made"  # noqa: S101
    return found


def left_folders(work: Path) -> list[LockedFolder]:
    """Folders of builds whose processes have ended without removing them; they are ours now."""
    if not work.is_dir():
        return []
    with _locked(work, fcntl.LOCK_EX):
        return [found for path in sorted(work.glob(f"{_PREFIX}*")) if (found := _taken(path))]


def _taken(path: Path) -> LockedFolder | None:
    """A folder with its lock; None when somebody else has it, or has just removed it."""
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return LockedFolder(path, lock)
    return None


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)
