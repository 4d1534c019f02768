"""The desktops of a module that has a catalogue of images, read from each folder's `desktop.yaml`."""

from collections.abc import Iterator
from pathlib import Path

import yaml

DESCRIPTION = "desktop.yaml"


def has_desktops(images: Path) -> bool:
    """Whether a folder is such a catalogue."""
    return any(images.glob(f"*/{DESCRIPTION}"))


def desktop_rows(images: Path) -> Iterator[tuple[str, str, str, str]]:
    """For each desktop on each system: names of its images, what it is, what it stands on, and its state."""
    for file in sorted(images.glob(f"*/{DESCRIPTION}")):
        desktop = yaml.safe_load(file.read_text(encoding="utf-8"))
        for system, entry in desktop["systems"].items():
            names = ", ".join(f"`{system}-{family}-{file.parent.name}`" for family in entry["families"])
            parent = f"`{desktop['parent']}`" if "parent" in desktop else "the public base"
            yield names, f"{desktop['title']}: {desktop['description']}", parent, entry["state"]
