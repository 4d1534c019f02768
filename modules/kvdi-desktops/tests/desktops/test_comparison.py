"""What the comparison with reference pictures tells apart, and what it lets pass."""

import numpy as np
import pytest
from desktops import pictures
from desktops.rfb import Picture

SIZE = (720, 1280, 3)


@pytest.fixture
def desktop() -> Picture:
    """A blue desktop with a light panel at its top."""
    picture = np.zeros(SIZE, np.uint8)
    picture[:] = (40, 80, 140)
    picture[:26] = (230, 230, 230)
    return picture


def test_the_same_picture_is_like_its_reference(desktop: Picture) -> None:
    assert pictures.likeness(desktop, pictures.blocks(desktop)) == 1.0


def test_another_time_on_the_clock_passes(desktop: Picture) -> None:
    reference = pictures.blocks(desktop)
    desktop[4:22, 1200:1270] = 0

    assert pictures.is_like(desktop, reference)


def test_a_missing_panel_is_seen(desktop: Picture) -> None:
    reference = pictures.blocks(desktop)
    desktop[:26] = (40, 80, 140)

    assert not pictures.is_like(desktop, reference)


def test_another_size_is_never_alike(desktop: Picture) -> None:
    assert not pictures.is_like(desktop[:704], pictures.blocks(desktop))


def test_a_black_screen_is_seen(desktop: Picture) -> None:
    assert pictures.likeness(np.zeros(SIZE, np.uint8), pictures.blocks(desktop)) < 0.5
