"""Fixtures of the tests that hold every module to the same contract."""

import pytest
from collection.modules import REPOSITORY, Module, modules


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `module` runs once for each module of the collection."""
    if "module" in metafunc.fixturenames:
        found = modules(REPOSITORY)
        metafunc.parametrize("module", found, ids=[module.name for module in found])


@pytest.fixture(scope="session")
def all_modules() -> list[Module]:
    """Every module of the collection."""
    return modules(REPOSITORY)
