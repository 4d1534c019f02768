"""Builds that take no step from the engine's cache, and leave the cache to others."""

import os
import shutil
from pathlib import Path

import pytest

WRAPPER = """#!/bin/sh
if [ "$1" = build ]; then shift; set -- build --no-cache "$@"; fi
exec "{engine}" "$@"
"""


def without_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put a `docker` first on PATH that builds every step anew."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(WRAPPER.format(engine=shutil.which("docker")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
