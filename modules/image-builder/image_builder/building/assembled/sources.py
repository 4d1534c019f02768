"""The files that a request brings: in itself, and uploaded before."""

import re
from collections.abc import Mapping
from pathlib import Path

from ...layers.request import ImageRequest, UploadedFile
from ..errors import InvalidRequestError
from .nodes import FOLDER, Kind, Node, Part

_WILDCARDS = re.compile(r"[*?]")


def request_files(request: ImageRequest, uploads: Path | None) -> dict[str, Node]:
    """All files and folders of a request, by path.

    Args:
        request: the request.
        uploads: folder with the uploaded files, by their digests.

    Raises:
        InvalidRequestError: a file was not uploaded.
    """
    found: dict[str, Node] = {}
    for name, file in request.files.items():
        parts = name.split("/")
        for count in range(1, len(parts)):
            found.setdefault("/".join(parts[:count]), FOLDER)
        mode = int(file.mode, 8)
        if isinstance(file, UploadedFile):
            found[name] = _uploaded(name, file, mode, uploads)
        else:
            data = file.data
            found[name] = Node(Kind.FILE, mode, size=len(data), content=data)
    return found


def _uploaded(name: str, file: UploadedFile, mode: int, uploads: Path | None) -> Node:
    if uploads is None:
        raise InvalidRequestError(f"files: {name!r} has a digest, but nothing was uploaded")
    path = uploads / file.digest.partition(":")[2]
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InvalidRequestError(f"files: {name!r} was not uploaded, or has expired: upload it") from None
    return Node(Kind.FILE, mode, size=size, content=Part(path, 0, file.digest))


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
        pattern = _pattern(wanted)
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


def _pattern(wanted: str) -> re.Pattern[str]:
    """Wildcards as an expression that never goes back to an earlier `*`: what follows each is taken where
    it is found first, so that the time grows with the lengths and not with their powers."""
    first, *others = ("".join(map(_character, text)) for text in re.split(r"\*+", wanted))
    if not others:
        return re.compile(first)
    *inner, last = others
    return re.compile(first + "".join(f"(?>[^/]*?{text})" for text in inner) + f"[^/]*{last}")


def _character(character: str) -> str:
    return "[^/]" if character == "?" else re.escape(character)
