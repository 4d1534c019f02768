"""What a living process uses, told from what a dead one has left.

Who uses a file or folder holds a lock on it (flock), which the kernel gives back when the process ends,
however it ends. Where folders cannot be locked (NFS locks what is open for writing), a folder's lock is
the file `.lock` in it. A new folder is made and locked behind a gate that those who look for left-overs
close: none of them sees it unlocked.
"""

import contextlib
import errno
import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_LOCK = ".lock"


class Lock:
    """A lock on a file or folder that is held until it is released, or the process ends.

    Args:
        path: what is locked.
        shared: others may have it too, and one who has it alone is waited for: that never takes long.

    Raises:
        FileNotFoundError: there is none of that name, or somebody has just taken it away.
        BlockingIOError: others hold it.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        self._descriptor = _locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Uses:
    """What one piece of work uses until it ends; a context manager."""

    def __init__(self) -> None:
        self._locks: dict[Path, Lock] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lock in self._locks.values():
            lock.release()

    def hold(self, path: Path) -> bool:
        """Use a file or folder, so that nobody removes it, and note the time; False when there is none."""
        try:
            if path not in self._locks:
                self._locks[path] = Lock(path, shared=True)
            os.utime(path)
        except FileNotFoundError:
            return False
        return True


@contextlib.contextmanager
def closed_gate(parent: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep all others out who would make something in a folder, or look for left-overs in it.

    Args:
        parent: the folder, which is made if it is not there.
        shared: let those in who only make something.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = _locked(parent, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def own_folder(parent: Path, prefix: str) -> Lock:
    """Make a folder that nobody takes for a left-over while its lock is held."""
    with closed_gate(parent, shared=True):
        return Lock(Path(tempfile.mkdtemp(dir=parent, prefix=prefix)))


def own_file(parent: Path, prefix: str) -> Lock:
    """Make an empty file that nobody takes for a left-over while its lock is held."""
    with closed_gate(parent, shared=True):
        descriptor, name = tempfile.mkstemp(dir=parent, prefix=prefix)
        os.close(descriptor)
        return Lock(Path(name))


def take_away(path: Path, prefix: str) -> Path | None:
    """Give something that nobody uses a name that nobody knows, to be removed; None when it is in use.

    Should the process end before it is removed, it is a left-over with this prefix.
    """
    try:
        lock = Lock(path)
    except (FileNotFoundError, BlockingIOError):
        return None
    try:
        return path.rename(path.with_name(f"{prefix}{uuid.uuid4().hex}"))
    finally:
        lock.release()


def left_overs(parent: Path, prefix: str) -> list[Path]:
    """What dead processes have left in a folder, by the beginning of its name."""
    if not parent.is_dir():
        return []
    found = []
    with closed_gate(parent):
        for path in parent.iterdir():
            if path.name.startswith(prefix):
                with contextlib.suppress(OSError):  # in use, or not ours
                    Lock(path).release()
                    found.append(path)
    return found


def _locked(path: Path, how: int) -> int:
    """A descriptor that holds a lock on what has this name now."""
    if not path.is_dir():
        return _flocked(path, os.O_RDWR | os.O_NOFOLLOW, how)
    try:
        return _flocked(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, how)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return _flocked(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT, how)


def _flocked(path: Path, flags: int, how: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        if not os.path.samestat(path.stat(), os.fstat(descriptor)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
