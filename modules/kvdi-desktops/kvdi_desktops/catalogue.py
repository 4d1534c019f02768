"""Which desktops there are, on which systems and in which families, and what follows for each image.

A desktop is a folder below `images/` with a `desktop.yaml`. An image is a desktop of one family on one
system, and is named after the three: `debian-supervisord-xfce4`.
"""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .shared.errors import UserError

DESCRIPTION = "desktop.yaml"
FOLDER = Path(__file__).resolve().parent.parent / "images"

# Each has a parameter for its public base, and a script in `images/parts/systems`.
SystemName = Literal["debian", "ubuntu", "arch"]
Family = Literal["supervisord", "systemd"]
State = Literal["tested", "linted"]
# systemd mounts, makes namespaces, and starts the user's own systemd.
CAPABILITIES: Mapping[Family, tuple[str, ...]] = {"supervisord": (), "systemd": ("SYS_ADMIN",)}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class System(_Strict):
    """A desktop on one operating system.

    Attributes:
        families: those that it exists in.
        state: `tested` when it was built and run, `linted` when only its files were checked.
    """

    families: list[Family] = Field(min_length=1)
    state: State


class Desktop(_Strict):
    """What a `desktop.yaml` says.

    Attributes:
        parent: desktop whose image it is built on; None for what stands on a public base.
        sound: whether the sidecar is to carry sound.
        capabilities: kernel capabilities beyond those of the family.
    """

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    parent: str | None = None
    sound: bool = True
    capabilities: list[str] = []
    systems: dict[SystemName, System] = Field(min_length=1)


@dataclass(frozen=True)
class Image:
    """One image of the catalogue.

    Attributes:
        desktop: name of the desktop's folder.
        parent: name of the image that it is built on; None when that is the system's public base.
    """

    system: SystemName
    family: Family
    desktop: str
    description: Desktop
    parent: str | None

    @property
    def name(self) -> str:
        """`<system>-<family>-<desktop>`."""
        return f"{self.system}-{self.family}-{self.desktop}"

    @property
    def state(self) -> State:
        """Whether it was built and run, or only checked."""
        return self.description.systems[self.system].state

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Kernel capabilities that it needs, those of its family first."""
        return (*CAPABILITIES[self.family], *self.description.capabilities)


class Catalogue:
    """All images, each after the one that it is built on."""

    def __init__(self, desktops: Mapping[str, Desktop]) -> None:
        self.desktops = dict(desktops)
        self.images = {image.name: image for image in _images(self.desktops)}

    @classmethod
    def load(cls, folder: Path) -> "Catalogue":
        """Read every desktop below `folder`.

        Raises:
            UserError: a `desktop.yaml` is not valid, or its parent is not there; names the file.
        """
        files = sorted(folder.glob(f"*/{DESCRIPTION}"))
        return cls({file.parent.name: _read(file) for file in files})

    def select(self, wanted: Iterable[str]) -> list[Image]:
        """The images with these names, and those that they are built on, in the order of the builds.

        Args:
            wanted: names, or shell patterns such as `debian-*`.

        Raises:
            UserError: nothing has such a name; every wrong one is named, with the nearest right one.
        """
        chosen: set[str] = set()
        problems = []
        for pattern in wanted:
            found = fnmatch.filter(self.images, pattern)
            if not found:
                problems.append(f"there is no image `{pattern}`{self._hint(pattern)}")
            chosen.update(name for match in found for name in self._lineage(match))
        if problems:
            raise UserError("; ".join(problems))
        return [image for name, image in self.images.items() if name in chosen]

    def _lineage(self, name: str) -> list[str]:
        """The image, its parent, and so on."""
        parent = self.images[name].parent
        return [name, *(self._lineage(parent) if parent else [])]

    def _hint(self, pattern: str) -> str:
        near = difflib.get_close_matches(pattern, self.images, n=1)
        return f"; did you mean `{near[0]}`?" if near else f"; there are: {', '.join(self.images)}"


def _read(file: Path) -> Desktop:
    try:
        return Desktop.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}") from None
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise UserError(f"{file} does not describe a desktop: {'; '.join(problems)}") from None


def _images(desktops: Mapping[str, Desktop]) -> Iterable[Image]:
    for name in _parents_first(desktops):
        desktop = desktops[name]
        for system, entry in desktop.systems.items():
            for family in entry.families:
                yield Image(system, family, name, desktop, _parent(desktops, name, system, family))


def _parent(desktops: Mapping[str, Desktop], name: str, system: SystemName, family: Family) -> str | None:
    parent = desktops[name].parent
    if parent is None:
        return None
    entry = desktops[parent].systems.get(system)
    if entry is None or family not in entry.families:
        raise UserError(
            f"{name}/{DESCRIPTION}: its parent `{parent}` does not exist on {system} in the family {family}"
        )
    return f"{system}-{family}-{parent}"


def _parents_first(desktops: Mapping[str, Desktop]) -> list[str]:
    ordered: list[str] = []

    def add(name: str, children: tuple[str, ...]) -> None:
        if name in children:
            raise UserError(f"{name}/{DESCRIPTION}: `{name}` is its own parent, by way of {children[-1]}")
        parent = desktops[name].parent
        if parent is not None and parent not in desktops:
            raise UserError(f"{name}/{DESCRIPTION}: its parent `{parent}` is no folder with a {DESCRIPTION}")
        if parent is not None:
            add(parent, (*children, name))
        if name not in ordered:
            ordered.append(name)

    for name in desktops:
        add(name, ())
    return ordered
