"""Copies shared code from the module that owns it into the others (`scripts/sync-shared`).

Every module has a copy of `shared`; of the other folders, the modules that have such a folder.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from . import errors
from .modules import REPOSITORY, SHARED_OWNERS, modules, shared_original

EVERYWHERE = "shared"


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


def copies(repository: Path = REPOSITORY) -> Iterator[tuple[Path, Path]]:
    """The folders that hold a copy of shared code, each after its original."""
    for folder, owner in SHARED_OWNERS.items():
        for module in modules(repository):
            copy = module.package / folder
            if module.name != owner and (folder == EVERYWHERE or copy.is_dir()):
                yield shared_original(folder, repository), copy


def check(repository: Path = REPOSITORY) -> list[Path]:
    """Every file of a copy that differs from the original, relative to the repository."""
    return [
        (copy / name).relative_to(repository)
        for original, copy in copies(repository)
        for name in differences(original, copy)
    ]


def main() -> int:
    """Command line of `scripts/sync-shared`."""
    parser = argparse.ArgumentParser(
        prog="sync-shared",
        description="Copies the code that modules share from the module that owns it into the others.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name the files that differ")
    arguments = parser.parse_args()
    different = check()
    if arguments.check:
        for path in different:
            print(f"differs from the original: {path}", file=sys.stderr)
        return 1 if different else 0
    for original, copy in copies():
        sync(original, copy)
    print("\n".join(f"copied: {path}" for path in different) or "all copies are equal to the original")
    return 0


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


if __name__ == "__main__":
    sys.exit(errors.run(main))
