"""The static checks: format, lint, types, shell scripts, Dockerfiles."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collection.modules import REPOSITORY, modules
from localcloud.errors import LocalCloudError

SCRIPT_PACKAGES = ("localcloud", "collection", "newmodule", "testing", "benchmarks", "desktops")


@dataclass(frozen=True)
class Check:
    """One command that must end with status 0."""

    name: str
    command: list[str]
    mypy_path: str = ""


def checks(python_bin: Path) -> Iterator[Check]:
    """Every static check of the repository."""
    ruff, mypy = str(python_bin / "ruff"), str(python_bin / "mypy")
    yield Check("ruff format", [ruff, "format", "--check", "--quiet", "."])
    yield Check("ruff check", [ruff, "check", "--quiet", "."])
    packages = [option for package in SCRIPT_PACKAGES for option in ("-p", package)]
    yield Check("mypy scripts", [mypy, *packages], "scripts")
    # It reads charts with the code of the module that replicates them.
    yield Check("mypy chartfacts", [mypy, "-p", "chartfacts"], "scripts:modules/dockerimage-replication")
    for module in modules(REPOSITORY):
        yield Check(f"mypy {module.name}", [mypy, "-p", module.package_name], str(module.folder))
    for folder in _image_packages():
        name = folder.relative_to(REPOSITORY / "modules")
        yield Check(f"mypy {name}", [mypy, "--strict", "-p", folder.name], str(folder.parent))
    yield Check(
        "hadolint",
        [str(python_bin / "hadolint"), *map(str, sorted(REPOSITORY.glob("modules/**/Dockerfile")))],
    )
    yield Check("shellcheck", ["shellcheck", "--external-sources", *map(str, _shell_scripts())])


def run_checks(python_bin: Path, environment: dict[str, str]) -> list[str]:
    """Run all checks, printing what fails; return the names of those that failed."""
    failed = []
    for check in checks(python_bin):
        if not shutil.which(check.command[0]):
            raise LocalCloudError(f"the program `{check.command[0]}` is not installed")
        variables = {**environment, "MYPYPATH": check.mypy_path}
        done = subprocess.run(check.command, cwd=REPOSITORY, env=variables, check=False)
        print(f"{check.name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode != 0:
            failed.append(check.name)
    return failed


def _image_packages() -> list[Path]:
    """The Python packages that modules put into their images."""
    found = REPOSITORY.glob("modules/*/image*/**/__init__.py")
    return sorted(init.parent for init in found if not (init.parent.parent / "__init__.py").exists())


def _shell_scripts() -> list[Path]:
    """Every tracked or new file that bash runs."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [REPOSITORY / name for name in listed if name and _is_shell(REPOSITORY / name)]


def _is_shell(path: Path) -> bool:
    if path.suffix == ".sh":
        return path.is_file()
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().rstrip() in (b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh")
