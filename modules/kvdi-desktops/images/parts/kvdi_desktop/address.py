"""Where the VNC server listens: the address that the manager's environment gives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import ParameterError

# kVDI's manager of 2021 sets the first, that of 2020 the second.
VARIABLES = ("DISPLAY_SOCK_ADDR", "VNC_SOCK_ADDR")
DEFAULT = "/var/run/kvdi/display.sock"
LONGEST_PATH = 107  # bytes of a socket's path, without the final zero (unix(7))


class UnixAddress(NamedTuple):
    """A Unix socket, and no port at all."""

    path: Path


class TcpAddress(NamedTuple):
    """One TCP port; `host` is an IP address, or empty for every address."""

    host: str
    port: int


def from_environment(environment: Mapping[str, str]) -> UnixAddress | TcpAddress:
    """The address that the first of the two variables with a value gives, else the default.

    Raises:
        ParameterError: the value is neither an absolute path nor `tcp://HOST:PORT`.
    """
    for name in VARIABLES:
        if environment.get(name):
            return _parse(environment[name], name)
    return UnixAddress(Path(DEFAULT))


def _parse(text: str, name: str) -> UnixAddress | TcpAddress:
    if text.startswith(("/", "unix://")):
        return _unix(text.removeprefix("unix://"), name)
    return _tcp(text.removeprefix("tcp://"), text, name)


def _unix(path: str, name: str) -> UnixAddress:
    if not path.startswith("/") or "\0" in path or path.endswith("/"):
        raise ParameterError(f"{name} is {path!r}: a socket's path is absolute and ends with a file's name")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ParameterError(f"{name} is longer than a socket's path can be ({LONGEST_PATH} bytes): {path!r}")
    return UnixAddress(Path(path))


def _tcp(rest: str, text: str, name: str) -> TcpAddress:
    host, colon, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = "127.0.0.1" if host == "localhost" else host
    if not colon or not _is_port(port) or not _is_host(host):
        raise ParameterError(
            f"{name} is {text!r}: give a socket's absolute path, or tcp://HOST:PORT with an IP address"
        )
    return TcpAddress("" if host in ("0.0.0.0", "::") else host, int(port))  # noqa: S104 - asked for


def _is_port(text: str) -> bool:
    # The number of digits first: Python refuses to read thousands of them.
    return text.isdecimal() and len(text) <= len("65535") and 1 <= int(text) <= 65535


def _is_host(host: str) -> bool:
    if not host:
        return True
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
