"""Copies the shared code from the module that owns it into all others (`scripts/sync-shared`)."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from . import errors
from .modules import REPOSITORY, modules, shared_owner


def differences(original: Path, copy: Path) -> list[str]:
    """Files that are missing in the copy, differ from the original, or have none; by relative name."""
    wanted, found = _contents(original), _contents(copy)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def sync(original: Path, copy: Path) -> None:
    """Make the copy equal to the original; files that the original does not have are removed."""
    for name in differences(original, copy):
        source, target = original / name, copy / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        else:
            target.unlink()


def copies(repository: Path = REPOSITORY) -> Iterator[Path]:
    """The folders that hold a copy of the shared code."""
    owner = shared_owner(repository)
    return (module.shared for module in modules(repository) if module != owner)


def check(repository: Path = REPOSITORY) -> list[Path]:
    """Every file of a copy that differs from the original, relative to the repository."""
    original = shared_owner(repository).shared
    return [
        (copy / name).relative_to(repository)
        for copy in copies(repository)
        for name in differences(original, copy)
    ]


def main() -> int:
    """Command line of `scripts/sync-shared`."""
    parser = argparse.ArgumentParser(
        prog="sync-shared",
        description="Copies the code that all modules share from the module that owns it into the others.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name the files that differ")
    arguments = parser.parse_args()
    different = check()
    if arguments.check:
        for path in different:
            print(f"differs from the original: {path}", file=sys.stderr)
        return 1 if different else 0
    original = shared_owner().shared
    for copy in copies():
        sync(original, copy)
    print("\n".join(f"copied: {path}" for path in different) or "all copies are equal to the original")
    return 0


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


if __name__ == "__main__":
    sys.exit(errors.run(main))
