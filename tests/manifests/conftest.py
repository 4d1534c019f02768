"""Fixtures of the tests of manifests."""

from collections.abc import Iterator

import pytest
from support.emulator import Emulator, running_emulator
from support.manifests import deployments


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `deployment` runs once for each deployment manifest."""
    if "deployment" in metafunc.fixturenames:
        found = deployments()
        metafunc.parametrize("deployment", found, ids=[path.parent.name for path in found])


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The AWS emulator, empty at first."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as started:
        yield started
