"""ECR as the service's registry: logins of the named registries alone, repositories made once."""

import boto3
import pytest
from image_builder.building.errors import PushError
from image_builder.ecr.logins import EcrLogins
from image_builder.ecr.repositories import EcrRepositories
from image_builder.oci.reference import Reference
from image_builder.shared.endpoints import Endpoints

from .support import REGISTRY, Workshop

TAGS = {"SeedFarmerProject": "idf", "AirgapModulesOwner": "image-builder/prod/builders-images"}
TARGET = Reference(REGISTRY, "idf-prod-images/app", "1")


@pytest.fixture
def calls(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of AWS, by name."""
    made: list[str] = []
    session = boto3.Session()
    session.events.register("before-call.*.*", lambda model, **_: made.append(model.name))
    monkeypatch.setattr(boto3, "Session", lambda: session)
    return made


async def test_a_login_is_fetched_when_it_is_asked_for_and_kept(calls: list[str]) -> None:
    logins = EcrLogins({REGISTRY}, Endpoints())

    first = await logins.credentials(REGISTRY, refresh=False)
    again = await logins.credentials(REGISTRY, refresh=False)

    assert first is not None
    assert first.username == "AWS"
    assert first is again
    assert calls == ["GetAuthorizationToken"]
    assert await logins.credentials(REGISTRY, refresh=True) is not first


async def test_a_registry_that_nobody_has_named_gets_no_login(calls: list[str]) -> None:
    logins = EcrLogins({REGISTRY, "docker.io"}, Endpoints({REGISTRY: "https://mirror.example.com"}))

    other = REGISTRY.replace("123456789012", "210987654321")
    for host in ("docker.io", other, REGISTRY):  # ECR's own name is not what is reached here
        assert await logins.credentials(host, refresh=False) is None
    assert calls == []
    assert await logins.credentials("mirror.example.com:443", refresh=False) is not None


async def test_without_credentials_of_aws_the_registry_is_asked_without_a_login(
    environment: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    environment.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert await EcrLogins({REGISTRY}, Endpoints()).credentials(REGISTRY, refresh=False) is None


async def test_a_repository_is_made_once_with_the_deployments_tags(calls: list[str]) -> None:
    repositories = EcrRepositories(TAGS)

    await repositories.ensure(TARGET)
    await repositories.ensure(TARGET)
    await EcrRepositories(TAGS).ensure(TARGET)  # another replica

    assert calls == ["CreateRepository", "CreateRepository"]
    client = boto3.client("ecr")
    (made,) = client.describe_repositories(repositoryNames=["idf-prod-images/app"])["repositories"]
    assert made["imageScanningConfiguration"]["scanOnPush"]
    tags = client.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == TAGS


async def test_other_registries_and_a_service_without_tags_are_left_alone(calls: list[str]) -> None:
    await EcrRepositories(TAGS).ensure(Reference("registry.example.com", "team/app", "1"))
    await EcrRepositories({}).ensure(TARGET)

    assert calls == []


async def test_what_aws_refuses_ends_the_build_with_its_reason(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    tags = {**TAGS, "x" * 200: "a name that is longer than ECR takes"}

    with pytest.raises(PushError, match="idf-prod-images/app cannot be made in ECR") as raised:
        await EcrRepositories(tags).ensure(TARGET)

    assert raised.value.again
