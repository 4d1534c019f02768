"""Folders that are either complete or absent, however many runs make them and however those end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def locked(lock_file: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel releases even when we are killed."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path | None]:
    """Yield a temporary folder that becomes `folder` on success, or None when `folder` is there.

    Only one run fills at a time; a second one waits and then finds the work done. On any error,
    Ctrl-C included, the temporary folder is removed and `folder` does not appear.
    """
    if folder.is_dir():
        yield None
        return
    with locked(folder.parent / ".lock"):
        if folder.is_dir():
            yield None
            return
        _remove_leftovers(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
        try:
            temporary.chmod(0o755)
            yield temporary
            os.sync()
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _remove_leftovers(parent: Path) -> None:
    """Remove what a killed run left; we hold the lock, so nobody is working there."""
    for leftover in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
