"""A checkout of a test's own, with what the maintenance scripts work on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from collection.modules import REPOSITORY

COPIED = ("deployspec-template.yaml", "pyproject.toml", "uv.lock")
SCRIPTS = ("collection", "newmodule")
SHARED = Path("modules/dockerimage-replication/dockerimage_replication/shared")


def checkout(folder: Path) -> Path:
    """Make one, with no module but the shared code of the one that owns it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        shutil.copy(REPOSITORY / name, folder / name)
    for name in SCRIPTS:
        shutil.copytree(REPOSITORY / "scripts" / name, folder / "scripts" / name, ignore=ignored)
    shutil.copytree(REPOSITORY / SHARED, folder / SHARED, ignore=ignored)
    return folder


def run_script(repository: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a maintenance script in a checkout, as its entry in `scripts/` does."""
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository / "scripts"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
