"""Fixtures of the end-to-end tests: one copy of the repository, and clouds that they share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local import TWO_MODULES, LocalCloud, copy_repository, local_cloud


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a user has it: a git checkout with a tag."""
    folder = tmp_path_factory.mktemp("checkout") / "repository"
    return copy_repository(folder, TWO_MODULES)


@pytest.fixture(scope="session")
def cloud(checkout: Path) -> Iterator[LocalCloud]:
    """A local cloud that the tests of a session share; each uses projects or deployments of its own."""
    with local_cloud(checkout) as cloud:
        yield cloud
