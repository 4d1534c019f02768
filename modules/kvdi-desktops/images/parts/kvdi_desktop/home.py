"""The user's home: there may be none yet, an empty volume, or one restored from a backup."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from . import folders
from .errors import DesktopError, say
from .privilege import acting_as

SKELETONS = (Path("/etc/skel"), Path("/usr/share/kvdi-desktops/skel"))


def prepare(home: Path, uid: int, gid: int, spare: Path, skeletons: Iterable[Path] = SKELETONS) -> Path:
    """Make the home usable and fill in what every home has, without a change to what is there.

    Args:
        home: the wanted place.
        uid: whose home it is.
        gid: the user's group.
        spare: the place to work in when the home cannot be used.
        skeletons: folders with what a new home has; the first one with a file wins.

    Returns:
        the home; `spare` when the wanted one cannot be used.

    Raises:
        DesktopError: `spare` cannot be made either.
    """
    if os.geteuid() == 0:
        folders.give(home, uid, gid)  # a fresh volume is root's
    with acting_as(uid, gid):
        problem = _problem(home)
        if problem:
            say(
                f"the home {home} cannot be used: {problem}; {spare} is the home, and ends with the container"
            )
            home = _spare(spare)
        try:
            for skeleton in skeletons:
                _fill(skeleton, home)
        except OSError as error:
            say(f"the home {home} lacks its first files: {error.strerror}")
    return home


def _spare(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DesktopError(
            f"{folder} cannot be the home either: {error.strerror}; mount a writable home or {folder.parent}"
        ) from None
    return folder


def _problem(home: Path) -> str:
    """Why the user cannot work in the home; empty when he can."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    writable = os.access(home, os.W_OK | os.X_OK, effective_ids=True)
    return "" if writable else f"uid {os.geteuid()} may not write there"


def _fill(skeleton: Path, home: Path) -> None:
    """Copy what the home does not have yet."""
    if not skeleton.is_dir():
        return
    for source in sorted(skeleton.rglob("*")):
        target = home / source.relative_to(skeleton)
        if os.path.lexists(target):
            continue
        if source.is_dir():
            target.mkdir()
        else:
            _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy the file whole or not at all: the next start would leave an empty one, as if it was the user's."""
    new = target.with_name(f"{target.name}.kvdi-new")
    try:
        new.write_bytes(source.read_bytes())
        new.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
