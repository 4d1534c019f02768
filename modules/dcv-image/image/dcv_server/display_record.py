"""Which display is ours, and which process serves it: a file in this container's own `/tmp`.

The folder with the sockets is shared with other containers, and X servers that are told to name their
display (`-displayfd`, as the DCV server's are) write no lock file. So the start notes what it made. A note
counts only when its owner is ours, for everybody may write in `/tmp`.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

NOTE = re.compile(r"\.dcv-image-display-(\d{1,5})")


def write(display: int, process: int, temporary: Path) -> None:
    """Note the display and its X server's process.

    Raises:
        OSError: the note cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=str(temporary), prefix=".dcv-image-note-")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(str(process))
    Path(name).replace(_path(display, temporary))


def process_of(display: int, temporary: Path) -> int | None:
    """The X server's process; None when the display is not noted."""
    path = _path(display, temporary)
    try:
        return int(path.read_text(encoding="ascii")) if _is_ours(path) else None
    except (OSError, ValueError):
        return None


def noted(temporary: Path) -> list[int]:
    """All displays that were noted."""
    found = ((NOTE.fullmatch(path.name), path) for path in sorted(temporary.iterdir()))
    return [int(match.group(1)) for match, path in found if match and _is_ours(path)]


def remove(display: int, temporary: Path) -> None:
    """Forget the display."""
    with suppress(FileNotFoundError):
        _path(display, temporary).unlink()


def _path(display: int, temporary: Path) -> Path:
    return temporary / f".dcv-image-display-{display}"


def _is_ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid in (0, os.geteuid())
