"""Numbers of X displays: which is free, and which lock belongs to a server that is dead.

A killed server leaves `/tmp/.X1-lock` and its socket. The process number in the lock proves nothing:
after a restart, it may be another process's, and a server of another container that shares `/tmp` has
its number in a world of its own. A server that lives answers on its socket; so that one decides.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from .errors import DesktopError
from .sockets import answers

TEMPORARY = Path("/tmp")  # noqa: S108 - where every X server puts its locks and sockets
NUMBERS = range(1, 100)
# A server makes its lock first and its socket then; until this age, a lock may be that of one that starts.
START_SECONDS = 5.0
PAUSE_SECONDS = 0.1
POLL_SECONDS = 0.005  # a start waits for this


def choose(temporary: Path = TEMPORARY) -> int:
    """The first number that no server has, with what a dead one left there removed.

    Raises:
        DesktopError: none is free, or the folder cannot be written.
    """
    _socket_folder(temporary)
    for number in NUMBERS:
        if release(number, temporary):
            return number
    raise DesktopError(f"no X display is free: {temporary} has the locks of {len(NUMBERS)} of them")


def release(number: int, temporary: Path = TEMPORARY) -> bool:
    """Remove what a dead server left of the display; tell whether the display is free."""
    lock = temporary / f".X{number}-lock"
    path = socket(number, temporary)
    if answers(path) or answers(f"\0{path}"):
        return False
    if _age(lock) < START_SECONDS or _is_server(_holder(lock)):
        return False
    try:
        lock.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def wait_until_free(number: int, temporary: Path = TEMPORARY) -> None:
    """Wait until the display is free: a server that crashed right after its start left a young lock.

    Raises:
        DesktopError: a server that lives has the display.
    """
    end = time.monotonic() + START_SECONDS + 1
    while not release(number, temporary):
        if time.monotonic() > end:
            raise DesktopError(f"the X display :{number} belongs to another server")
        time.sleep(PAUSE_SECONDS)


def socket(number: int, temporary: Path = TEMPORARY) -> Path:
    """Where X clients reach the display's server."""
    return temporary / ".X11-unix" / f"X{number}"


def wait_for(path: Path, seconds: float) -> None:
    """Wait until a server answers on the socket.

    Raises:
        DesktopError: none does within the time.
    """
    end = time.monotonic() + seconds
    while not answers(path):
        if time.monotonic() > end:
            raise DesktopError(f"nothing answers on {path} after {seconds:g} s")
        time.sleep(POLL_SECONDS)


def _socket_folder(temporary: Path) -> None:
    folder = temporary / ".X11-unix"
    try:
        folder.mkdir(exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o1777)  # as every X server expects it
    except OSError as error:
        raise DesktopError(f"{folder} cannot be made: {error.strerror}; mount a writable /tmp") from None
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise DesktopError(f"{folder} cannot be written by uid {os.geteuid()}: mount a writable /tmp")


def _age(lock: Path) -> float:
    """Seconds since the lock was made; endless when there is none."""
    try:
        return max(time.time() - lock.lstat().st_mtime, 0.0)
    except FileNotFoundError:
        return float("inf")


def _holder(lock: Path) -> int | None:
    """The process number in the lock."""
    try:
        return int(lock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _is_server(process: int | None) -> bool:
    """Whether this process is an X server here: one that is stopped does not answer, but lives."""
    try:
        return process is not None and Path(f"/proc/{process}/comm").read_text("utf-8").startswith("X")
    except OSError:
        return False
