"""The images that the module `kvdi-desktops` knows, for programs that build and launch them here."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from localcloud.errors import UsageError
from localcloud.layout import REPOSITORY

from .launch import Family

FOLDER = REPOSITORY / "modules" / "kvdi-desktops" / "images"
DESCRIPTION = "desktop.yaml"
PARTS = "parts"  # the folder of what all desktops share


@dataclass(frozen=True)
class DesktopImage:
    """One image.

    Attributes:
        desktop: its folder's name.
        parent: desktop that it is built on; None for one that is built on the system's public base.
        tested: whether it is built and run by tests, on this system.
    """

    system: str
    family: Family
    desktop: str
    parent: str | None
    tested: bool

    @property
    def name(self) -> str:
        """As the manifest names it."""
        return f"{self.system}-{self.family.value}-{self.desktop}"

    @property
    def parent_name(self) -> str | None:
        """The image that it is built on."""
        return None if self.parent is None else f"{self.system}-{self.family.value}-{self.parent}"


def load(folder: Path = FOLDER) -> dict[str, DesktopImage]:
    """Every image, by name."""
    found = (
        image
        for file in sorted(folder.glob(f"*/{DESCRIPTION}"))
        for image in _images(file.parent.name, yaml.safe_load(file.read_text("utf-8")))
    )
    return {image.name: image for image in found}


def find(images: Mapping[str, DesktopImage], name: str) -> DesktopImage:
    """The image of that name.

    Raises:
        UsageError: there is none; names those that there are.
    """
    if name in images:
        return images[name]
    near = difflib.get_close_matches(name, images, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no desktop image {name!r}; {hint}There are: {', '.join(sorted(images))}")


def _images(desktop: str, described: Mapping[str, object]) -> list[DesktopImage]:
    systems = described["systems"]
    parent = described.get("parent")
    assert isinstance(systems, dict)  # noqa: S101  the module's own catalogue checks the files
    return [
        DesktopImage(
            system,
            Family(family),
            desktop,
            None if parent is None else str(parent),
            entry["state"] == "tested",
        )
        for system, entry in systems.items()
        for family in entry["families"]
    ]
