"""Processes that the start runs, some as another user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .accounts import Account

# What children get of the environment. Credentials of the pod stay with those that sign requests.
HARMLESS = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that every child may see."""
    return {name: environment[name] for name in HARMLESS if name in environment}


def start(
    command: Sequence[str], environment: Mapping[str, str], account: Account | None = None
) -> subprocess.Popen[bytes]:
    """Run a program in the background, in a process group of its own; its output is the container's."""
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **_user(account),
    )


def output(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, account: Account | None = None
) -> bytes:
    """What a program prints.

    Raises:
        OSError: it cannot be run.
        subprocess.SubprocessError: it failed or took too long.
    """
    done = subprocess.run(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=True,
        **_user(account),
    )
    return bytes(done.stdout)


def _user(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"preexec_fn": _become(account)}


def _become(account: Account) -> Callable[[], None]:
    """Popen's own `user` came with Python 3.9."""

    def become() -> None:
        os.setgroups([account.gid])
        os.setgid(account.gid)
        os.setuid(account.uid)

    return become
