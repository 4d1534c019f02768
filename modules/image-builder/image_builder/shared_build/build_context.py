"""What an image is built from: a copy in which only names and content count, and its fingerprint."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# A SeedFarmer bundle keeps neither modes nor times. Midnight of 2000-01-01 UTC: older than any base.
TIMESTAMP = 946684800
PROGRAM_MODE = 0o755
FILE_MODE = 0o644


def files(folder: Path, paths: Iterable[str]) -> dict[str, Path]:
    """Every file below `paths` of the folder, by its name relative to the folder; no byte code."""
    found = (path for name in paths for path in _below(folder / name))
    return {
        path.relative_to(folder).as_posix(): path
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def stage(content: Mapping[str, Path], target: Path) -> None:
    """Copy files into an empty folder: programs (those that begin with `#!`) 0755, others 0644."""
    for name, source in content.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def settle(folder: Path) -> None:
    """Give everything in the folder the modes and the time that every checkout gets."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(PROGRAM_MODE if path.is_dir() or _is_program(path) else FILE_MODE)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (TIMESTAMP, TIMESTAMP))


def fingerprint(content: Mapping[str, Path], inputs: Mapping[str, object]) -> str:
    """Hash of the files' names and content, and of everything else that makes the image."""
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in content.items()}
    return hashlib.sha256(json.dumps({"files": hashes, **inputs}, sort_keys=True).encode()).hexdigest()


def _below(path: Path) -> Iterator[Path]:
    return iter([path]) if path.is_file() else path.rglob("*")


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"
