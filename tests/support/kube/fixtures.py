"""The API server as a fixture: one for all tests of a run. Import it in a conftest.py."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.errors import LocalCloudError
from localcloud.packages import ensure_programs
from localcloud.progress import Progress
from testing.kubernetes import ensure_kubernetes

from support.pinned_env import cache_folder

from .control_plane import ControlPlane, running_control_plane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real API server; a machine that cannot build one skips its tests and says why."""
    try:
        ensure_programs(["etcd"], Progress())
        programs = ensure_kubernetes(cache_folder(), Progress())
    except LocalCloudError as error:
        pytest.skip(f"no Kubernetes API server here: {error}")
    folder = Path(tempfile.mkdtemp(prefix="airgap-kube-"))
    try:
        with running_control_plane(programs, folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
