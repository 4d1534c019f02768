"""SeedFarmer in an environment of its own: it needs an older boto3 than the modules."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collection.modules import REPOSITORY

from .pinned_env import pinned_environment

SEEDFARMER_VERSION = "8.0.9"
REQUIREMENTS = REPOSITORY / "scripts" / "localcloud" / "requirements-seedfarmer.txt"
INSIDE = Path(__file__).with_name("inside_seedfarmer")


def seedfarmer_environment() -> Path:
    """Folder of SeedFarmer's environment."""
    return pinned_environment(f"seedfarmer-{SEEDFARMER_VERSION}", REQUIREMENTS)


def seedfarmer_program() -> Path:
    """The `seedfarmer` command."""
    return seedfarmer_environment() / "bin" / "seedfarmer"


def run_inside(
    script: str, argument: object, project: Path, environment: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401  whatever the script answers
    """Run `inside_seedfarmer/<script>.py` with SeedFarmer's Python in a project's folder.

    It gets `argument` as JSON on stdin and answers with JSON on stdout.
    """
    done = subprocess.run(
        [str(seedfarmer_environment() / "bin" / "python"), str(INSIDE / f"{script}.py")],
        cwd=project,
        input=json.dumps(argument),
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed in SeedFarmer's environment:\n{done.stderr}")
    return json.loads(done.stdout)
