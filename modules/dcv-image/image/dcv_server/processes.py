"""Processes that the start runs, some as another user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .accounts import Account
from .errors import StartError

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
    """Run a program in the background, in a process group of its own; its output is the container's.

    Raises:
        StartError: it cannot be run, or not as that user.
    """
    try:
        return subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **_user(account),
        )
    except (OSError, subprocess.SubprocessError):
        raise _not_run(command, account) from None


def output(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, account: Account | None = None
) -> bytes:
    """What a program prints.

    Raises:
        StartError: it cannot be run, failed or took too long.
    """
    try:
        done = subprocess.run(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=True,
            **_user(account),
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{command[0]} failed: {error}") from None
    except (OSError, subprocess.SubprocessError):
        raise _not_run(command, account) from None
    return bytes(done.stdout)


def _not_run(command: Sequence[str], account: Account | None) -> StartError:
    if account is None:
        return StartError(f"{command[0]} cannot be run")
    return StartError(
        f"{command[0]} cannot be run as user {account.name}: the capabilities SETUID and SETGID are needed"
    )


def _user(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"preexec_fn": _become(account)}


def _become(account: Account) -> Callable[[], None]:
    """Popen's own `user` came with Python 3.9."""

    def become() -> None:
        os.setgroups([account.gid])
        os.setgid(account.gid)
        os.setuid(account.uid)

    return become
