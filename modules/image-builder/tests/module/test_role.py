"""The service's role against what the service does: each call is allowed, and nothing else is.

The emulator enforces no policy, so calls of AWS are recorded and compared. What a registry takes besides is
that of the ECR user guide, "IAM permissions for pushing an image" and "… for pulling an image".
"""

import json
from fnmatch import fnmatchcase
from typing import Any

import aws_cdk as cdk
import boto3
import pytest
from aws_cdk.assertions import Template
from image_builder.ecr.clients import s3_client
from image_builder.ecr.logins import EcrLogins
from image_builder.ecr.repositories import EcrRepositories
from image_builder.oci.reference import Reference
from image_builder.settings import Parameters
from image_builder.shared.endpoints import Endpoints
from image_builder.shared.inventory import load_inventory
from image_builder.shared.settings import load
from image_builder.stack import ImageBuilderStack

from .support import ACCOUNT, PREFIX, REGISTRY, Workshop

IMAGES = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/idf-prod-images/app"
REPLICATED = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/idf-docker.io/library/debian"
INVENTORY = "arn:aws:s3:::inventories/a/b.json"
PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
PUSH = (*PULL, "CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart")
TAGGED_AT_ITS_MAKING = ("ecr:TagResource", IMAGES)  # CreateRepository with tags needs it, ECR API reference
PROTOCOL = {(f"ecr:{name}", REPLICATED) for name in PULL} | {(f"ecr:{name}", IMAGES) for name in PUSH}


@pytest.fixture
def allowed(environment: pytest.MonkeyPatch, workshop: Workshop) -> set[tuple[str, str]]:
    """Action and resource of each permission of the role."""
    environment.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "inventories/a/b.json")
    seedfarmer, parameters = load(Parameters)
    where = cdk.Environment(account=ACCOUNT, region="us-east-1")
    stack = ImageBuilderStack(cdk.App(), seedfarmer=seedfarmer, parameters=parameters, outputs={}, env=where)
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    return {
        (action, _arn(resource))
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    }


@pytest.fixture
async def done(workshop: Workshop, environment: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Action and resource of what the service does: calls of AWS, and the protocol of the registry."""
    boto3.client("s3").create_bucket(Bucket="inventories")
    body = json.dumps({"images": {}}).encode()
    boto3.client("s3").put_object(Bucket="inventories", Key="a/b.json", Body=body)
    calls: set[str] = set()
    session = boto3.Session()
    session.events.register("before-call.*.*", lambda model, **_: calls.add(model.name))
    environment.setattr(boto3, "Session", lambda: session)

    await EcrLogins({REGISTRY}, Endpoints()).credentials(REGISTRY, refresh=False)
    await EcrRepositories({"a": "b"}).ensure(Reference(REGISTRY, "idf-prod-images/app", "1"))
    load_inventory(s3_client(), "s3://inventories/a/b.json")

    assert calls == {"GetAuthorizationToken", "CreateRepository", "GetObject"}
    called = {
        ("ecr:GetAuthorizationToken", "*"),
        ("ecr:CreateRepository", IMAGES),
        ("s3:GetObject", INVENTORY),
    }
    return called | PROTOCOL | {TAGGED_AT_ITS_MAKING}


def test_everything_that_is_done_is_allowed(
    allowed: set[tuple[str, str]], done: set[tuple[str, str]]
) -> None:
    assert [item for item in done if not _is_allowed(item, allowed)] == []


def test_every_permission_is_used(allowed: set[tuple[str, str]], done: set[tuple[str, str]]) -> None:
    assert {item for item in allowed if not any(_is_allowed(one, {item}) for one in done)} == set()


def test_what_lies_beside_is_not_allowed(allowed: set[tuple[str, str]]) -> None:
    other = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository"
    beside = {
        ("ecr:PutImage", REPLICATED),
        ("ecr:PutImage", f"{other}/idf-image-builder"),
        ("ecr:PutImage", f"{other}/idf-test-images/app"),
        ("ecr:BatchGetImage", f"{other}/other-project/app"),
        ("ecr:DeleteRepository", IMAGES),
        ("s3:GetObject", "arn:aws:s3:::inventories/other.json"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:x"),
    }

    assert [item for item in beside if _is_allowed(item, allowed)] == []


def _is_allowed(call: tuple[str, str], allowed: set[tuple[str, str]]) -> bool:
    return any(call[0] == action and fnmatchcase(call[1], resource) for action, resource in allowed)


def _list(value: Any) -> list[Any]:  # noqa: ANN401  CloudFormation's own shape
    return value if isinstance(value, list) else [value]


def _arn(value: Any) -> str:  # noqa: ANN401  CloudFormation's own shape
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(_arn(part) for part in value["Fn::Join"][1])
    return "aws" if isinstance(value, dict) else str(value)
