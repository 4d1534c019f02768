"""Screenshots beside reference pictures that are small enough to keep: one pixel for each block.

Fonts and clocks differ in single pixels between two runs; a missing panel or window changes whole blocks.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from localcloud.layout import REPOSITORY
from PIL import Image

from .rfb import Picture

REFERENCES = REPOSITORY / "modules" / "kvdi-desktops" / "tests" / "desktops" / "references"

BLOCK = 16  # pixels, both ways
LEVELS = 24  # by how much a block's colour may differ, of 255
MATCHING = 0.995  # of the blocks: a clock, a pointer and a blinking cursor are less than the rest


def blocks(picture: Picture) -> Picture:
    """The mean colour of each block; the last row and column may be cut."""
    height, width = (length // BLOCK * BLOCK for length in picture.shape[:2])
    whole = picture[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    means: npt.NDArray[np.float64] = whole.mean(axis=(1, 3))
    return means.round().astype(np.uint8)


def likeness(picture: Picture, reference: Picture) -> float:
    """How many of the blocks are like the reference's, of 1; 0 for another size."""
    seen = blocks(picture)
    if seen.shape != reference.shape:
        return 0.0
    difference = np.abs(seen.astype(np.int16) - reference.astype(np.int16)).max(axis=2)
    return float((difference <= LEVELS).mean())


def is_like(picture: Picture, reference: Picture) -> bool:
    """Whether a screenshot shows what the reference shows."""
    return likeness(picture, reference) >= MATCHING


def reference(desktop: str, size: tuple[int, int]) -> Path:
    """Where the reference picture of a desktop in that size lies: the same for both families."""
    width, height = size
    return REFERENCES / desktop / f"{width}x{height}.png"


def read(path: Path) -> Picture:
    """A picture from a file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write(picture: Picture, path: Path) -> None:
    """Keep a picture; the suffix says in which format.

    Raises:
        ValueError: nobody knows this suffix.
        OSError: the file cannot be written.
    """
    Image.fromarray(picture).save(path, optimize=True)
