"""The desktop user's name: taken from the manager, and made known to the C library.

`/etc/passwd` is never written: the root file system may be read-only and the user without privilege.
libnss-extrausers reads a second list, which lies in `/run`.
"""

from __future__ import annotations

import re
from pathlib import Path

from .errors import say

DEFAULT_USER = "user"
DEFAULT_UID = 9000
PASSWD = Path("/etc/passwd")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
LOWEST_ID = 500  # libnss-extrausers ignores what is below
SHELL = "/bin/bash"


def name_from(wanted: str, uid: int, passwd: Path = PASSWD) -> str:
    """A name that every program can work with: the wanted one, or one that is made from it."""
    name = wanted or DEFAULT_USER
    if not _NAME.fullmatch(name):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name, flags=re.ASCII).strip("_.-")[:32].rstrip("_.-")
        name = name if _NAME.fullmatch(name) else DEFAULT_USER
    if _uids(passwd).get(name, uid) != uid:
        name = DEFAULT_USER
    if wanted and name != wanted:
        say(f"USER is {wanted!r}, which is no name for an account here: the desktop's user is {name!r}")
    return name


def record(folder: Path, name: str, uid: int, gid: int, home: Path) -> None:
    """Write the account's entries where libnss-extrausers reads them.

    Raises:
        OSError: the folder cannot be written.
    """
    if uid < LOWEST_ID:
        say(f"uid {uid} is below {LOWEST_ID}, so programs will not find a name for it")
    listed_gid = gid if gid >= LOWEST_ID else DEFAULT_UID
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    # No password fits. It says so itself: passwords are never looked for here (see set-up.sh).
    _replace(folder / "passwd", f"{name}:*:{uid}:{listed_gid}:{name}:{home}:{SHELL}\n")
    _replace(folder / "group", f"{name}:x:{listed_gid}:\n")


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)


def _uids(passwd: Path) -> dict[str, int]:
    """Accounts of the image."""
    fields = [line.split(":") for line in passwd.read_text(encoding="utf-8").splitlines()]
    return {field[0]: int(field[2]) for field in fields if len(field) > 2 and field[2].isdecimal()}
