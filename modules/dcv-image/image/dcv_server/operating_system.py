"""What the image is built on."""

from __future__ import annotations

from pathlib import Path

RELEASE = Path("/etc/os-release")


def pretty_name(release: Path = RELEASE) -> str:
    """The operating system's name for people (os-release(5))."""
    for line in release.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "an unknown operating system"
