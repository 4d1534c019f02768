"""One image for all these tests, and what a container of it needs."""

import json
import os
from collections.abc import Iterator

import pytest

from .containers import Container, engine_is_there
from .pods import Pod, running_pod
from .secrets_double import SecretsDouble

IMAGE_VARIABLE = "DCV_RUNTIME_TEST_IMAGE"
SECRET = "dcv-credentials"
USER, PASSWORD = "alice", "correct horse"


@pytest.fixture(scope="session")
def session_image(request: pytest.FixtureRequest) -> str:
    """The module's image with the stand-in in it, or what `DCV_RUNTIME_TEST_IMAGE` names."""
    if not engine_is_there():
        pytest.skip("there is no container engine: set DOCKER_HOST")
    return os.environ.get(IMAGE_VARIABLE) or str(request.getfixturevalue("standin_image"))


@pytest.fixture(scope="session")
def aws() -> Iterator[SecretsDouble]:
    """The emulated AWS of all pods."""
    double = SecretsDouble()
    yield double
    double.close()


@pytest.fixture(autouse=True)
def _credentials(aws: SecretsDouble) -> None:
    """The secret is right unless a test says otherwise."""
    aws.secrets = {SECRET: json.dumps({"UserName": USER, "Password": PASSWORD})}
    aws.refusal = None


@pytest.fixture
def pod(session_image: str, aws: SecretsDouble) -> Iterator[Pod]:
    """For tests that break what they start."""
    with running_pod(session_image, aws.port) as pod:
        yield pod


@pytest.fixture(scope="module")
def shared_pod(session_image: str, aws: SecretsDouble) -> Iterator[Pod]:
    """For tests that leave what they share as they found it."""
    aws.secrets = {SECRET: json.dumps({"UserName": USER, "Password": PASSWORD})}
    with running_pod(session_image, aws.port) as pod:
        yield pod


@pytest.fixture(scope="module")
def session(shared_pod: Pod) -> Container:
    """A healthy session, for tests that leave it so."""
    return shared_pod.healthy()
