"""Files of this machine that a request will name."""

import hashlib
import os
from pathlib import Path

MAX_LOCAL_INLINE = 1024 * 1024  # bytes of a file on the disk that becomes part of a request


def digest_of_file(path: Path) -> str:
    """`sha256:…` of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def mode_of(path: Path) -> str:
    """The mode that a file gets in an image: whether it is a program is all that counts."""
    return "0755" if os.access(path, os.X_OK) else "0644"
