"""Writes each module's requirements.txt from its direct dependencies and `uv.lock`.

A module's build installs exactly what the repository was tested with, transitive packages included.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement

from . import errors
from .errors import CollectionError
from .modules import REPOSITORY, Module, modules

# What a build may run on: SeedFarmer's local builds ask for 3.11, CodeBuild's image has 3.12.
ENVIRONMENTS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": version,
     "python_full_version": f"{version}.0", "platform_python_implementation": "CPython",
     "implementation_name": "cpython"}
    for version in ("3.11", "3.12")
]  # fmt: skip


def requirements(module: Module, repository: Path = REPOSITORY) -> str:
    """The content that the module's requirements.txt should have.

    Raises:
        CollectionError: a dependency is not in uv.lock.
    """
    locked = _locked(repository)
    wanted = sorted(_closure(_direct(module), locked))
    return "".join(f"{name}=={locked[name]['version']}\n" for name in wanted)


def outdated(repository: Path = REPOSITORY) -> Iterator[Module]:
    """Modules whose requirements.txt is not what it should be."""
    for module in modules(repository):
        path = module.folder / "requirements.txt"
        if not path.exists() or path.read_text("utf-8") != requirements(module, repository):
            yield module


def main() -> int:
    """Command line of `scripts/pin-requirements`."""
    parser = argparse.ArgumentParser(
        prog="pin-requirements",
        description="Writes each module's requirements.txt from its pyproject.toml and uv.lock.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name the modules that differ")
    arguments = parser.parse_args()
    found = list(outdated())
    for module in found:
        if arguments.check:
            print(f"not what uv.lock says: {module.folder / 'requirements.txt'}", file=sys.stderr)
        else:
            (module.folder / "requirements.txt").write_text(requirements(module), encoding="utf-8")
            print(f"written: {module.folder / 'requirements.txt'}")
    return 1 if found and arguments.check else 0


def _locked(repository: Path) -> dict[str, dict[str, Any]]:
    lock = tomllib.loads((repository / "uv.lock").read_text("utf-8"))
    return {package["name"]: package for package in lock["package"]}


def _direct(module: Module) -> set[tuple[str, str]]:
    """Direct dependencies as (name, extra); the extra is empty for the package itself."""
    project = tomllib.loads((module.folder / "pyproject.toml").read_text("utf-8"))["project"]
    parsed = [Requirement(text) for text in project["dependencies"]]
    return {(item.name, extra) for item in parsed for extra in ("", *item.extras)}


def _closure(direct: set[tuple[str, str]], locked: dict[str, dict[str, Any]]) -> set[str]:
    seen: set[tuple[str, str]] = set()
    waiting = list(direct)
    while waiting:
        name, extra = item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        if name not in locked:
            raise CollectionError(f"{name} is not in uv.lock: add it to pyproject.toml and run `uv lock`")
        package = locked[name]
        children = (
            package.get("optional-dependencies", {}).get(extra, [])
            if extra
            else package.get("dependencies", [])
        )
        for child in children:
            if _applies(child.get("marker")):
                waiting += [(child["name"], one) for one in ("", *child.get("extra", []))]
    return {name for name, _extra in seen}


def _applies(marker: str | None) -> bool:
    return marker is None or any(Marker(marker).evaluate(environment) for environment in ENVIRONMENTS)


if __name__ == "__main__":
    sys.exit(errors.run(main))
