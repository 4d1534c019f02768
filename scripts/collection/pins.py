"""Writes each module's requirements.txt from its direct dependencies and `uv.lock`.

A module's build installs exactly what the repository was tested with, transitive packages included. A
module whose own code runs in an image says in its pyproject.toml, under `[tool.airgap-modules.image]`,
which of its dependencies the image does `without`; `image/requirements.txt` has the others with the hashes
of their wheels.
"""

import argparse
import re
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

# Wheels for any machine, and for Linux with glibc on the two architectures of images.
_IMAGE_WHEEL = re.compile(r"-none-any\.whl$|-(cp3(?:1[1-3])|abi3)-manylinux[^-]*_(x86_64|aarch64)\.whl$")


def requirements(module: Module, repository: Path = REPOSITORY) -> str:
    """The content that the module's requirements.txt should have.

    Raises:
        CollectionError: a dependency is not in uv.lock.
    """
    locked = _locked(repository)
    wanted = sorted(_closure(_direct(module), locked))
    return "".join(f"{name}=={locked[name]['version']}\n" for name in wanted)


def image_requirements(module: Module, repository: Path = REPOSITORY) -> str | None:
    """The content that the module's image/requirements.txt should have; None when its code is in no image.

    Raises:
        CollectionError: a dependency is not in uv.lock.
    """
    without = _project_file(module).get("tool", {}).get("airgap-modules", {}).get("image", {}).get("without")
    if without is None:
        return None
    locked = _locked(repository)
    wanted = sorted(_closure({item for item in _direct(module) if item[0] not in without}, locked))
    return "".join(_hashed(locked[name]) for name in wanted)


def files(module: Module, repository: Path = REPOSITORY) -> dict[Path, str]:
    """Every file with pins that the module should have, and its content."""
    found = {module.folder / "requirements.txt": requirements(module, repository)}
    of_image = image_requirements(module, repository)
    return found if of_image is None else {**found, module.folder / "image" / "requirements.txt": of_image}


def outdated(repository: Path = REPOSITORY) -> Iterator[Path]:
    """Files with pins that are not what they should be."""
    for module in modules(repository):
        for path, content in files(module, repository).items():
            if not path.exists() or path.read_text("utf-8") != content:
                yield path


def main() -> int:
    """Command line of `scripts/pin-requirements`."""
    parser = argparse.ArgumentParser(
        prog="pin-requirements",
        description="Writes each module's requirements.txt from its pyproject.toml and uv.lock.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name the modules that differ")
    arguments = parser.parse_args()
    found = list(outdated())
    if arguments.check:
        for path in found:
            print(f"not what uv.lock says: {path}", file=sys.stderr)
        return 1 if found else 0
    wanted = {path: content for module in modules() for path, content in files(module).items()}
    for path in found:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"written: {path}")
    return 0


def _locked(repository: Path) -> dict[str, dict[str, Any]]:
    lock = tomllib.loads((repository / "uv.lock").read_text("utf-8"))
    return {package["name"]: package for package in lock["package"]}


def _direct(module: Module) -> set[tuple[str, str]]:
    """Direct dependencies as (name, extra); the extra is empty for the package itself."""
    parsed = [Requirement(text) for text in _project_file(module)["project"]["dependencies"]]
    return {(item.name, extra) for item in parsed for extra in ("", *item.extras)}


def _project_file(module: Module) -> dict[str, Any]:
    return tomllib.loads((module.folder / "pyproject.toml").read_text("utf-8"))


def _hashed(package: dict[str, Any]) -> str:
    """A pin with the hashes of every wheel that a Linux image may want."""
    names = {wheel["url"].rpartition("/")[2]: wheel["hash"] for wheel in package["wheels"]}
    hashes = sorted(digest for name, digest in names.items() if _IMAGE_WHEEL.search(name))
    return (
        f"{package['name']}=={package['version']}"
        + "".join(f" \\\n    --hash={item}" for item in hashes)
        + "\n"
    )


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
