"""On a machine with Podman and without Docker's daemon, the local cloud uses Podman."""

import shutil
from pathlib import Path

import pytest
from support.local import local_cloud

pytestmark = pytest.mark.engine


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_the_modules_deploy_with_podman(checkout: Path) -> None:
    with local_cloud(checkout) as cloud:
        cloud.must("apply", LOCAL_ENGINE="podman")
        uri = cloud.outputs()["DCVImageDigestUri"]
        run = cloud.must("docker", "run", "--rm", uri, "cat", "/etc/os-release", LOCAL_ENGINE="podman")
        assert "VERSION_CODENAME=bookworm" in run.stdout
        cloud.must("destroy", LOCAL_ENGINE="podman")
        assert "dockerd" not in cloud.must("status", LOCAL_ENGINE="podman").stdout
