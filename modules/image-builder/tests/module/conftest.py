"""An emulated account, a real registry in ECR's place, and what stands for the container engine."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_builder.release import apply
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parents[2]
for folder in (TESTS, REPOSITORY / "tests", REPOSITORY / "scripts"):
    sys.path.insert(0, str(folder))

from building.support import docker_registry  # noqa: E402

from .support import PREFIX, REGISTRY, Workshop, write_chart  # noqa: E402


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real registry on loopback."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, registry: str) -> pytest.MonkeyPatch:
    """What SeedFarmer sets for a manifest without parameters, and nothing of the developer's AWS settings."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SEEDFARMER_")):
            monkeypatch.delenv(name)
    values = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "prod",
        "SEEDFARMER_MODULE_NAME": "builders-images",
        f"{PREFIX}REGISTRY_ENDPOINTS": f'{{"{REGISTRY}": "http://{registry}"}}',
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def workshop(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Workshop]:
    """A deployment in an emulated account, of a small chart and of an image that nothing builds."""
    environment.chdir(tmp_path)
    environment.setattr(apply, "CHART_FOLDER", write_chart(tmp_path / "helm" / "dcrx-kv"))
    made = Workshop()
    environment.setattr(apply.Engine, "private", made.private)
    environment.setattr(apply, "publish", made.publish)
    with mock_aws():
        # Moto applies a bucket policy without its conditions: "deny plain http" would deny everything.
        environment.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
        yield made
