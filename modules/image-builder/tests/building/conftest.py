"""Fixtures of the building tests: one registry and one base for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from .support import Bench, base_layers, bench, docker_registry, push_base

hypothesis.settings.register_profile("long", max_examples=2000, deadline=None)
hypothesis.settings.register_profile("short", max_examples=100, deadline=None)
hypothesis.settings.load_profile("long" if os.environ.get("AIRGAP_LONG") else "short")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real registry on loopback."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="session")
def base(registry: str) -> str:
    """A small system in that registry, by its reference."""
    push_base(registry, "bases/small:1", base_layers())
    return f"{registry}/bases/small"


@pytest.fixture
def builder(registry: str, base: str, tmp_path: Path) -> Bench:
    """A builder of its own folders that pushes below `team/`."""
    return bench(registry, tmp_path)
