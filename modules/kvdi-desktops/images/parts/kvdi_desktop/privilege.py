"""Doing things as the desktop's user while the process is root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Have the user's rights for a while: a home is the user's, who may have put links into it."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def become(uid: int, gid: int) -> None:
    """Give up being root for good; the log stays the user's to write."""
    for stream in (1, 2):
        os.fchown(stream, uid, gid)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
