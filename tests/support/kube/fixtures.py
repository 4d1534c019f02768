"""An API server, or a whole cluster, as a fixture: one for all tests of a run. Import it in a conftest.py."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.errors import LocalCloudError
from localcloud.packages import can_install, ensure_programs
from localcloud.progress import Progress
from testing.kubernetes import ensure_kubernetes

from support.pinned_env import cache_folder

from .cluster import Cluster, running_cluster
from .control_plane import ControlPlane, running_control_plane

NODE_PROGRAMS = ("dockerd", "iptables", "ip", "nsenter", "busybox")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real cluster whose pods run; a machine that cannot have one skips its tests and says why."""
    if os.geteuid() != 0:
        pytest.skip("no Kubernetes cluster here: its node takes root")
    programs = kubernetes_programs("etcd", *NODE_PROGRAMS)
    folder = Path(tempfile.mkdtemp(prefix="airgap-kube-"))
    try:
        with running_cluster(programs, folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real API server; a machine that cannot build one skips its tests and says why."""
    programs = kubernetes_programs("etcd")
    folder = Path(tempfile.mkdtemp(prefix="airgap-kube-"))
    try:
        with running_control_plane(programs, folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kubernetes_programs(*needed: str) -> Path:
    """The folder with Kubernetes' programs; only a machine that cannot build them skips."""
    try:
        ensure_programs(needed, Progress())
        return ensure_kubernetes(cache_folder(), Progress())
    except LocalCloudError as error:
        if can_install():
            raise
        pytest.skip(f"no Kubernetes here: {error}")
