"""Who a build is outside of its user namespace, and which users it has inside."""

import contextlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuilderUnavailableError

# Whom builds are when the service is root: a user that nothing else is, for the kernel counts the processes
# of a user, whoever has started them.
_BUILDER = 99_999
_FIRST_SPARE = 100_000  # where Debian begins to hand out subordinate users (login.defs, SUB_UID_MIN)
_USERS = 65_535  # beside root: images know users up to 65534, `nobody`


@dataclass(frozen=True)
class Identity:
    """A user of the machine and the range of users that are its own.

    Attributes:
        uid: the user; root inside of the namespace.
        gid: its group.
        users: first of the users that are 1, 2, … inside, and how many there are.
        groups: the same of groups.
        drops: whether the service is root and has to become this user first.
    """

    uid: int
    gid: int
    users: tuple[int, int]
    groups: tuple[int, int]
    drops: bool

    @property
    def user_map(self) -> list[tuple[int, int, int]]:
        """Lines of `uid_map`: inside, outside, how many."""
        return [(0, self.uid, 1), (1, *self.users)]

    @property
    def group_map(self) -> list[tuple[int, int, int]]:
        """Lines of `gid_map`."""
        return [(0, self.gid, 1), (1, *self.groups)]


def identity() -> Identity:
    """The identity that builds have here: the service's own user, or, when that is root, one of their own.

    Raises:
        BuilderUnavailableError: the user has no range of users (subuid(5)).
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        spare = (_FIRST_SPARE, _USERS)
        return Identity(_BUILDER, _BUILDER, spare, spare, drops=True)
    if not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        raise BuilderUnavailableError(
            "commands cannot be run here: the programs newuidmap and newgidmap are missing"
        )
    return Identity(uid, gid, _range("/etc/subuid", uid), _range("/etc/subgid", uid), drops=False)


def _range(file: str, uid: int) -> tuple[int, int]:
    names = {str(uid)}
    with contextlib.suppress(KeyError):  # a container may give the service a user that nobody has named
        names.add(pwd.getpwuid(uid).pw_name)
    path = Path(file)
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if name in names and first.isdigit() and count.isdigit() and int(count) >= _USERS:
            return int(first), _USERS
    raise BuilderUnavailableError(
        f"commands cannot be run here: {file} gives the user {uid} no range of {_USERS} users"
    )
