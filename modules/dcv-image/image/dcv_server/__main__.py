"""`python -m dcv_server health` for probes, `python -m dcv_server status` for people."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from .health import UnhealthyError, check

OS_RELEASE = Path("/etc/os-release")


def health() -> int:
    """Say in one line whether the session can be used; the exit status says it too."""
    try:
        print(f"healthy: {check()}")
    except UnhealthyError as reason:
        print(f"unhealthy: {reason}", file=sys.stderr)
        return 1
    return 0


def status() -> int:
    """Say what this image is, then its health."""
    print(
        f"dcv-image: Amazon DCV session image on {_operating_system()}, Python {platform.python_version()}",
        flush=True,
    )
    return health()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    commands = {"health": health, "status": status}
    parser = argparse.ArgumentParser(prog="dcv-image")
    parser.add_argument("command", choices=sorted(commands))
    return commands[parser.parse_args(arguments).command]()


def _operating_system() -> str:
    for line in OS_RELEASE.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "an unknown operating system"


if __name__ == "__main__":
    sys.exit(main())
