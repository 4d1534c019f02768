"""Folders that live as long as the container."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from .errors import DesktopError, say

RUN = Path("/run")
TEMPORARY = Path("/tmp")  # noqa: S108 - the manager mounts it for the desktop alone
# What root's programs read: units, accounts, sudo's rules.
_TRUSTED = ("systemd", "kvdi-desktop", "user", "log")


def secure(run: Path = RUN) -> None:
    """As root, keep the user from replacing what root's programs trust in `/run`.

    The manager mounts a volume there that everybody may write, and that outlives the container: units, sudo's
    rules or links that the user has put into it would be obeyed by the next start. Sidecars' sockets stay.
    """
    try:
        os.chown(run, 0, 0)
        run.chmod(0o755)
        for name in _TRUSTED:
            _remove_unless_roots(run / name)
    except OSError as error:
        say(f"{run} cannot be kept from the user: {error.strerror}")


def _remove_unless_roots(path: Path) -> None:
    if not os.path.lexists(path):
        return
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode):
        if found.st_uid != 0:
            shutil.rmtree(path)
    else:
        path.unlink()


def state(uid: int, run: Path = RUN) -> Path | None:
    """The folder of what a start finds out, to which the image's own links lead.

    Returns:
        None when `/run` cannot be written; then the links lead nowhere.
    """
    folder = run / "kvdi-desktop"
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        new = folder / "machine-id.new"
        new.write_text(f"{os.urandom(16).hex()}\n", encoding="ascii")
        new.replace(folder / "machine-id")
    except OSError as error:
        say(f"{folder} cannot be made ({error.strerror}): uid {uid} has no name; mount a writable {run}")
        return None
    return folder


def runtime(uid: int, gid: int, run: Path = RUN, temporary: Path = TEMPORARY) -> Path:
    """The user's XDG_RUNTIME_DIR.

    Raises:
        DesktopError: neither `/run` nor `/tmp` can hold it.
    """
    reasons = []
    for folder in (run / "user" / str(uid), temporary / f"runtime-{uid}"):
        reason = _own(folder, uid, gid)
        if reason is None:
            return folder
        reasons.append(f"{folder}: {reason}")
    raise DesktopError(f"the user has no folder for sockets ({'; '.join(reasons)}): mount a writable {run}")


def give(folder: Path, uid: int, gid: int) -> None:
    """As root, let the user make sockets in the folder: never below it, and never in a shared one.

    A link is left alone: it could lead to a folder of root's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and found.st_mode & 0o002 == 0:
            os.chown(folder, uid, gid, follow_symlinks=False)
    except OSError as error:
        say(f"the folder {folder} cannot be given to uid {uid}: {error.strerror}")


def home_link(folder: Path, home: Path) -> None:
    """Let `/mnt/home`, where the file transfer sees the home, lead to the home here too."""
    link = folder / "home"
    link.unlink(missing_ok=True)
    link.symlink_to(home)


def _own(folder: Path, uid: int, gid: int) -> str | None:
    """Make the folder the user's alone; say why that fails."""
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return "it is no folder"
        if os.geteuid() == 0:
            os.chown(folder, uid, gid, follow_symlinks=False)
    except OSError as error:
        return error.strerror
    return None if folder.lstat().st_uid == uid else "it is somebody else's"
