"""Numbers of X displays: which is free, and which lock belongs to a server that is dead.

A killed server leaves `/tmp/.X1-lock` and its socket. The process number in the lock proves nothing:
after a restart, it may be another process's, and a server of another container that shares `/tmp` has
its number in a world of its own. A server that lives answers on its socket; so that one decides.

Between desktops, a file lock (flock(2)) on `/tmp/.X1-owner` decides. A desktop has its number from its start
to its end: the container's first process holds the lock, and the kernel lets go of it with that process, in
whichever container it was. The file names the process that became the server last, by which a dead server of
ours is told from one of somebody else's that starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import DesktopError
from .sockets import answers

TEMPORARY = Path("/tmp")  # noqa: S108 - where every X server puts its locks and sockets
NUMBERS = range(1, 100)
# A server makes its lock first and its socket then; until this age, a lock that is not ours may be that of
# one that starts.
START_SECONDS = 5.0
PAUSE_SECONDS = 0.1
POLL_SECONDS = 0.005  # a start waits for this


@dataclass(frozen=True)
class Display:
    """An X display that is this desktop's.

    Attributes:
        claim: descriptor of the file lock; the number is the desktop's until the last copy of it is closed.
    """

    number: int
    claim: int


def choose(temporary: Path = TEMPORARY) -> Display:
    """The first number that no server and no other desktop has, with what a dead one left there removed.

    Raises:
        DesktopError: none is free, or the folder cannot be written.
    """
    _socket_folder(temporary)
    for number in NUMBERS:
        claim = _claim(_owner(number, temporary))
        if claim is None:
            continue
        if release(number, temporary):
            return Display(number, claim)
        os.close(claim)
    raise DesktopError(f"no X display is free: {temporary} has the locks of {len(NUMBERS)} of them")


def release(number: int, temporary: Path = TEMPORARY) -> bool:
    """Remove what a dead server left of the display; tell whether the display is free.

    For the desktop that has the number: then none of ours starts there.
    """
    lock = temporary / f".X{number}-lock"
    path = socket(number, temporary)
    if answers(path) or answers(f"\0{path}"):
        return False
    holder = _process(lock)
    if _is_server(holder):
        return False
    ours = holder is not None and holder == _process(_owner(number, temporary))
    if not ours and _age(lock) < START_SECONDS:
        return False
    try:
        lock.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def note_server(number: int, temporary: Path = TEMPORARY) -> None:
    """Note that this process becomes the display's server."""
    # Without the note, the lock of a killed server is taken for a stranger's for a while.
    with contextlib.suppress(OSError):
        _owner(number, temporary).write_text(f"{os.getpid()}\n", encoding="ascii")


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


def _owner(number: int, temporary: Path) -> Path:
    return temporary / f".X{number}-owner"


def _claim(owner: Path) -> int | None:
    """Lock the file; None when somebody else has it. Children do not inherit the descriptor."""
    try:
        claim = _open(owner)
    except OSError:
        return None
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        return None
    return claim


def _open(owner: Path) -> int:
    """Open the file, made when it is not there. In a folder that all share it may be another user's."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(FileExistsError):
        made = os.open(owner, flags | os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(made, 0o644)  # whatever the umask is: other users have to be able to lock it
        return made
    return os.open(owner, flags)


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


def _process(file: Path) -> int | None:
    """The process number in the file."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _is_server(process: int | None) -> bool:
    """Whether this process is an X server here: one that is stopped does not answer, but lives."""
    try:
        return process is not None and Path(f"/proc/{process}/comm").read_text("utf-8").startswith("X")
    except OSError:
        return False
