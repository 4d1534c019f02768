"""The copy of a project in the state folder that SeedFarmer works in.

SeedFarmer leaves bundles and clones beside `seedfarmer.yaml`; here they stay out of the project itself.
What git ignores is not copied, because SeedFarmer would ship it in a bundle.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from .errors import UsageError

MODULE_ROLES = "modulestack.yaml"
SEEDFARMERS_OWN = ("seedfarmer.gitmodules", "seedfarmer.archive")


@dataclass(frozen=True)
class Project:
    """A SeedFarmer project.

    Attributes:
        source: the user's folder, with `seedfarmer.yaml`.
        name: its name in that file.
        staged: the copy that SeedFarmer works in.
    """

    source: Path
    name: str
    staged: Path

    @classmethod
    def at(cls, source: Path, state: Path) -> "Project":
        """The project in a folder.

        Raises:
            UsageError: the folder holds no readable seedfarmer.yaml.
        """
        path = source / "seedfarmer.yaml"
        try:
            content = yaml.safe_load(path.read_text("utf-8"))
            name = str(content["project"])
        except FileNotFoundError:
            raise UsageError(f"{path} does not exist: {source} is not a SeedFarmer project") from None
        except (yaml.YAMLError, KeyError, TypeError):
            raise UsageError(f"{path} does not name a project") from None
        return cls(source, name, state / "projects" / name)

    def stage(self, module_roles: bool) -> None:
        """Bring the copy up to date.

        Without `module_roles` the modules' role stacks are left out: SeedFarmer waits 12 s for each, and
        the emulator does not enforce IAM, so they prove little here.
        """
        wanted = {path for path in _files(self.source) if module_roles or Path(path).name != MODULE_ROLES}
        # What is gone goes first: a file may have become a folder of the same name.
        for path in _walk(self.staged) - wanted:
            (self.staged / path).unlink()
        _remove_empty_folders(self.staged)
        for path in sorted(wanted):
            _copy(self.source / path, self.staged / path)


def _files(folder: Path) -> set[str]:
    """Files that belong to a project: in a git checkout those that git does not ignore, else all."""
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        return _walk(folder)
    return {path for path in listed.stdout.split("\0") if path and (folder / path).is_file()}


def _walk(folder: Path) -> set[str]:
    found: set[str] = set()
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SEEDFARMERS_OWN]
        found |= {str((Path(here) / name).relative_to(folder)) for name in files}
    return found


def _remove_empty_folders(folder: Path) -> None:
    for here, _folders, _files_here in os.walk(folder, topdown=False):
        if here != str(folder) and not any(Path(here).iterdir()):
            Path(here).rmdir()


def _copy(source: Path, destination: Path) -> None:
    content = source.read_bytes()
    if destination.is_file() and destination.read_bytes() == content:
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_bytes(content)
    shutil.copymode(source, destination)
