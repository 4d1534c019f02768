"""What Amazon DCV's download site offers, as the tests' stand-in for it: an archive and its signing key."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from collection.modules import REPOSITORY

from .errors import InternetError

TESTS = REPOSITORY / "modules" / "dcv-image" / "tests"
FOLDER = "dcv"
DESCRIPTION = "standin.json"


def source_hash() -> str:
    """What the archive is made from."""
    digest = hashlib.sha256()
    for path in sorted((TESTS / "standin").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write(folder: Path) -> None:
    """Make archive and key; the key is a new one and is not kept."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "standin.archive", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InternetError(f"the stand-in for Amazon DCV cannot be made: {done.stderr.strip()[-500:]}")


def variables(http: Path, url: str) -> dict[str, str]:
    """What the local manifest asks the environment for.

    Args:
        http: folder that is served.
        url: where it is served.
    """
    made = json.loads((http / FOLDER / DESCRIPTION).read_text(encoding="utf-8"))
    return {
        "LOCAL_DCV_ARCHIVE": f"{url}/{FOLDER}/{Path(made['archive']).name}",
        "LOCAL_DCV_ARCHIVE_SHA256": made["sha256"],
        "LOCAL_DCV_SIGNING_KEY": f"{url}/{FOLDER}/{Path(made['key']).name}",
        "LOCAL_DCV_SIGNING_KEY_FINGERPRINT": made["fingerprint"],
    }
