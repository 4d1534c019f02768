"""The files that a request brings: in itself, and in its upload."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from ...layers.request import ImageRequest
from ..errors import InvalidRequestError
from .nodes import FOLDER, Kind, Node, Part

_WILDCARDS = re.compile(r"[*?]")


def request_files(request: ImageRequest, uploads: Path | None) -> dict[str, Node]:
    """All files and folders of a request, by path; what is in the request itself hides an upload's file.

    Raises:
        InvalidRequestError: the upload holds a link or something that is neither file nor folder.
    """
    found = _uploaded(uploads) if uploads else {}
    for name, file in request.files.items():
        parts = name.split("/")
        for count in range(1, len(parts)):
            found.setdefault("/".join(parts[:count]), FOLDER)
        data = file.data
        found[name] = Node(Kind.FILE, int(file.mode, 8), size=len(data), content=data)
    return found


def matching(files: Mapping[str, Node], source: str, where: str) -> list[str]:
    """The paths that a source names; `` is the folder of all files.

    Raises:
        InvalidRequestError: there is none, or it leads outside.
    """
    parts = [part for part in source.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidRequestError(f"{where}.source: {source!r} leads out of the request's files")
    wanted = "/".join(parts)
    if not wanted:
        return [""]
    if not _WILDCARDS.search(wanted):
        found = [wanted] if wanted in files else []
    else:
        pattern = re.compile("".join(map(_pattern, wanted)))
        found = sorted(name for name in files if pattern.fullmatch(name))
    if not found:
        raise InvalidRequestError(f"{where}.source: the request has no file {source!r}")
    return found


def below(files: Mapping[str, Node], folder: str) -> list[str]:
    """The paths below a folder, each folder before its content."""
    inside = f"{folder}/" if folder else ""
    return sorted((name for name in files if name.startswith(inside) and name != folder), key=_by_parts)


def _by_parts(name: str) -> list[str]:
    return name.split("/")


def _pattern(character: str) -> str:
    return {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))


def _uploaded(folder: Path) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for at, folders, names in os.walk(folder, onerror=_unreadable):
        for name in [*folders, *names]:
            path = Path(at, name)
            status = path.lstat()
            relative = str(path.relative_to(folder))
            if stat.S_ISDIR(status.st_mode):
                found[relative] = Node(Kind.FOLDER, stat.S_IMODE(status.st_mode))
            elif stat.S_ISREG(status.st_mode):
                mode, size = stat.S_IMODE(status.st_mode), status.st_size
                found[relative] = Node(Kind.FILE, mode, size=size, content=Part(path, 0))
            else:
                raise InvalidRequestError(f"upload: {relative!r} is neither file nor folder")
    return found


def _unreadable(error: OSError) -> None:
    raise InvalidRequestError(f"upload: it cannot be read ({error.strerror})")
