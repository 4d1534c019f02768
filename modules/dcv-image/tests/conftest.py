"""Puts the module, the image's own package and the tests' fakes on the import path."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
MODULE = TESTS.parent
REPOSITORY = MODULE.parent.parent
for folder in (REPOSITORY / "tests", REPOSITORY / "scripts", TESTS, MODULE, MODULE / "image"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from dcv_fakes import REGISTRY_HOST, FakeEngine, FakeRegistry  # noqa: E402
from dcv_image.shared_build.engine import Engine  # noqa: E402
from localcloud.tools import uv  # noqa: E402
from standin.archive import StandIn, make  # noqa: E402
from standin.image import build_image  # noqa: E402
from standin.signing import signing_key  # noqa: E402
from support.debian_base import debian_base  # noqa: E402
from support.kube.fixtures import control_plane  # noqa: E402, F401  a fixture

# A build has uv on its PATH; so have the tests.
os.environ["PATH"] = f"{os.environ['PATH']}{os.pathsep}{Path(uv()).parent}"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """What SeedFarmer sets for a complete manifest, and nothing of the developer's own AWS settings."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SEEDFARMER_", "DOCKER_")):
            monkeypatch.delenv(name)
    values = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "prod",
        "SEEDFARMER_MODULE_NAME": "desktops-dcv",
        "SEEDFARMER_PARAMETER_DCV_ECR_REPOSITORY_NAME": "idf-dcv",
        "SEEDFARMER_PARAMETER_DCV_ARCHIVE_SHA256": "0" * 64,
        "SEEDFARMER_PARAMETER_DCV_SIGNING_KEY_FINGERPRINT": "0" * 40,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The stand-in for Amazon DCV, as an archive for Debian and Ubuntu."""
    with signing_key() as key:
        return make(tmp_path_factory.mktemp("standin"), key)


@pytest.fixture(scope="session")
def debian() -> Iterator[str]:
    """A Debian image in the engine, to build on."""
    with debian_base() as name:
        yield name


@pytest.fixture(scope="session")
def standin_image(standin: StandIn, debian: str) -> Iterator[str]:
    """The whole image with the stand-in in it, built as the module builds it."""
    name = f"localhost/airgap-test-dcv:{uuid.uuid4().hex}"
    with Engine.private() as engine:
        build_image(engine, standin, debian, name)
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """A registry on loopback that holds what the fake engine pushes."""
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def engine(environment: pytest.MonkeyPatch, tmp_path: Path, registry: FakeRegistry) -> FakeEngine:
    """A recording `docker`, first on PATH, whose pushes arrive in the fake registry."""
    fake = FakeEngine(tmp_path / "engine")
    environment.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    environment.setenv(
        "SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", json.dumps({REGISTRY_HOST: registry.base_url})
    )
    return fake
