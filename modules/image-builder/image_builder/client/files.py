"""Files of this machine in a request: `"files": {"tools/app": {"path": "dist/app"}}`.

`path` is a file or folder beside the request. What is small becomes part of the request, what is large is
brought otherwise and named by its digest.
"""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..layers.local_files import MAX_LOCAL_INLINE, mode_of

_ALL_INLINE = 8 * MAX_LOCAL_INLINE  # bytes of all files that are put into the request itself
_KEYS = {"path", "mode"}

Bring = Callable[[Path], str]


class LocalFileError(Exception):
    """A file that the request names cannot be taken; the text names it."""


def with_local_files(request: dict[str, Any], folder: Path, bring: Bring) -> dict[str, Any]:
    """The request with the content or the digest of every file in place of its path.

    Args:
        request: as the user wrote it.
        folder: what paths are relative to.
        bring: brings a large file to whoever builds, and gives its digest.

    Raises:
        LocalFileError: a file is not there, or cannot be read.
    """
    files = request.get("files")
    if not isinstance(files, dict):
        return request
    found: dict[str, Any] = {}
    room = _ALL_INLINE
    for name, file in files.items():
        if not isinstance(file, dict) or "path" not in file:
            found[name] = file
            continue
        for inside, path in _listed(name, file, folder):
            try:
                size = path.stat().st_size
                large = size > min(MAX_LOCAL_INLINE, room)
                content = {"digest": bring(path)} if large else {"content": _encoded(path)}
            except OSError as error:
                raise LocalFileError(f"files: {inside!r}: {path} cannot be read: {error.strerror}") from None
            room -= 0 if large else size
            found[inside] = {**content, "mode": file.get("mode", mode_of(path))}
    return {**request, "files": found}


def _listed(name: str, file: dict[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that an entry stands for: one, or all below a folder."""
    unknown = set(file) - _KEYS
    if unknown or not isinstance(file["path"], str):
        raise LocalFileError(f"files: {name!r} has a path (text) and may have a mode, and nothing else")
    path = folder / file["path"]
    if not path.is_dir():
        yield name, path
        return
    for each in sorted(path.rglob("*")):
        if each.is_file():
            yield f"{name}/{each.relative_to(path)}", each


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
