"""The service's image, built once, and what it works with."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
for folder in (REPOSITORY / "tests", REPOSITORY / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from support.debian_base import debian_base  # noqa: E402
from support.service_image import service_image  # noqa: E402


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The service's image in the engine, as the module builds it."""
    with service_image() as name:
        yield name


@pytest.fixture(scope="session")
def debian() -> Iterator[str]:
    """A Debian image in the engine."""
    with debian_base() as name:
        yield name
