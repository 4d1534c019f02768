"""What a living process uses, told from what a dead one has left.

Who uses a file or folder holds a lock on it (flock), which the kernel gives back when the process ends,
however it ends. A folder's lock is the file `.lock` in it, since network file systems lock files alone.
A new folder is made and locked behind a gate that those who look for left-overs close: none of them sees
it unlocked.
"""

import contextlib
import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".lock"


class Lock:
    """A lock on a file or folder that is held until it is released, or the process ends.

    Raises:
        FileNotFoundError: there is none of that name, or somebody has just taken it away.
        BlockingIOError: others hold it.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        file = path / _LOCK if path.is_dir() else path
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(file, flags | (os.O_CREAT if file is not path else 0), 0o600)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if file.stat().st_ino != os.fstat(self._descriptor).st_ino:
                raise FileNotFoundError(file)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextlib.contextmanager
def closed_gate(parent: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep all others out who would make something in a folder, or look for left-overs in it.

    Args:
        parent: the folder, which is made if it is not there.
        shared: let those in who only make something.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(parent / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
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


def take_away(path: Path, prefix: str) -> Lock | None:
    """Give something that nobody uses a name that nobody knows, to be removed; None when it is in use.

    Should the process end before it is removed, it is a left-over with this prefix.
    """
    try:
        lock = Lock(path)
    except (FileNotFoundError, BlockingIOError):
        return None
    lock.path = path.with_name(f"{prefix}{uuid.uuid4().hex}")
    path.rename(lock.path)
    return lock


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
