"""The policy of the module's role: what a run calls, and nothing more."""

import json
import os
import re
from pathlib import Path
from typing import Any

import botocore.client
import pytest
import yaml
from dockerimage_replication import cleanup
from dockerimage_replication.settings import Parameters
from replication_support import SECRET, ChartServer, World, packed

TEMPLATE = Path(__file__).parents[1] / "modulestack.yaml"

# Where the name of an action is not that of the operation (Service Authorization Reference).
ACTIONS = {
    "s3:DeleteObject": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:ListObjectVersions": {"s3:ListBucketVersions"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "s3:PutBucketEncryption": {"s3:PutEncryptionConfiguration"},
    "s3:PutPublicAccessBlock": {"s3:PutBucketPublicAccessBlock"},
    "ecr:CreateRepository": {"ecr:CreateRepository", "ecr:TagResource"},
    "sts:GetCallerIdentity": set(),  # needs no permission
}
# What pull and push ask of ECR (Amazon ECR user guide, Required IAM permissions for pushing an image).
REGISTRY = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}
# What ECR does with a key in the name of whoever makes the repository (Amazon ECR user guide, Encryption
# at rest).
ENCRYPTION = {"kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
# Parameters of one run after the other: everything on, then everything off.
VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {
        "IMAGE_TAG_MUTABILITY": "IMMUTABLE",
        "UNTAGGED_IMAGE_DAYS": "0",
        "REPOSITORY_KMS_KEY": KEY,
        "PULL_ACCOUNT_IDS": '["111111111111"]',
        "PULL_ORGANIZATION_ID": "o-abcdefghij",
    },
    {
        "IMAGE_TAG_MUTABILITY": "MUTABLE",
        "UNTAGGED_IMAGE_DAYS": "1",
        "PULL_ACCOUNT_IDS": "[]",
        "PULL_ORGANIZATION_ID": "",
    },
)


def manifest_name(parameter: str) -> str:
    """`HelmRepoSecretName` as SeedFarmer folds it: `helm-repo-secret-name`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", parameter).lower()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions; `!Sub x` becomes x, other functions their arguments."""


def _argument(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _argument)


@pytest.fixture
def template() -> dict[str, Any]:
    value: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506 - a safe loader
    return value


@pytest.fixture
def statements(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    entries = template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    plain = [entry[1] if isinstance(entry, list) else entry for entry in entries]
    return {entry["Sid"]: entry for entry in plain}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """`service:Operation` of every call."""
    made: set[str] = set()
    original = vars(botocore.client.BaseClient)["_make_api_call"]

    def record(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - botocore's own
        made.add(f"{client.meta.service_model.endpoint_prefix.removeprefix('api.')}:{operation}")
        return original(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
    return made


def test_the_policy_allows_what_deploy_and_destroy_call_and_nothing_else(
    world: World,
    calls: set[str],
    statements: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = json.dumps({"username": "robot", "password": SECRET})
    world.aws.secrets.create_secret(Name="helm", SecretString=entry)
    world.charts.password = SECRET
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")
    calls.clear()

    for parameters in VARIANTS:
        for name, value in parameters.items():
            monkeypatch.setenv(f"SEEDFARMER_PARAMETER_{name}", value)
        world.apply()
    world.aws.ecr.put_image_scanning_configuration(  # as a version before has left it
        repositoryName="idf-charts/app", imageScanningConfiguration={"scanOnPush": False}
    )
    monkeypatch.setenv("SEEDFARMER_PARAMETER_UNTAGGED_IMAGE_DAYS", "2")
    world.apply()
    cleanup.destroy()

    needed = (REGISTRY | ENCRYPTION).union(*(ACTIONS.get(call, {call}) for call in calls))
    allowed = {
        action
        for statement in statements.values()
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == needed


def test_only_two_actions_are_not_limited_to_the_project(statements: dict[str, dict[str, Any]]) -> None:
    unlimited = [statement for statement in statements.values() if statement["Resource"] == "*"]

    assert [statement["Action"] for statement in unlimited] == [
        ["ecr:DescribeRepositories", "ecr:GetAuthorizationToken"]
    ]


SECRETS = ["HelmRepoSecretName", "HelmDistroSecretName"]
GIVEN = [*SECRETS, "RepositoryKmsKey"]


def test_seedfarmer_can_fill_every_parameter(template: dict[str, Any]) -> None:
    """It knows project and role; the others come from the manifest, under the names of the parameters."""
    assert set(template["Parameters"]) == {"ProjectName", "RoleName", *GIVEN}
    for name in GIVEN:
        assert template["Parameters"][name]["Default"] == ""
        assert manifest_name(name) in {field.replace("_", "-") for field in Parameters.model_fields}


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_has_a_grant_of_its_own(statements: dict[str, dict[str, Any]], name: str) -> None:
    """The manifest may name one of them alone, or the same one twice."""
    grant = statements[name.removesuffix("Name")]

    assert grant["Action"] == "secretsmanager:GetSecretValue"
    assert grant["Resource"].endswith(f":secret:${{{name}}}-??????")


def test_the_secret_of_the_helm_archive_is_read_with_its_grant(
    world: World, calls: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm's own host asks for credentials, and nothing else of the run does."""
    world.aws.secrets.create_secret(
        Name="distro", SecretString=json.dumps({"username": "robot", "password": SECRET})
    )
    with ChartServer() as server:
        server.password = SECRET
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        program = b"#!/bin/sh\n[ $1 != version ] || echo v9.0.0\n"  # it renders nothing
        server.files["/helm.tar.gz"] = packed({f"linux-{machine}/helm": program})
        monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", f"http://{server.address}/helm.tar.gz")
        monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_NAME", "distro")
        calls.clear()

        world.apply()

    assert "secretsmanager:GetSecretValue" in calls


def test_what_changes_or_deletes_a_repository_takes_one_of_ours(
    statements: dict[str, dict[str, Any]],
) -> None:
    own, others = statements["OwnRepositories"], statements["Repositories"]

    assert own["Condition"]["StringEquals"] == {
        "aws:ResourceTag/SeedFarmerProject": "ProjectName",
        "aws:ResourceTag/AirgapModulesOwner": "dockerimage-replication",
    }
    assert others["Condition"]["StringEqualsIfExists"] == {"aws:ResourceTag/SeedFarmerProject": "ProjectName"}
    assert not any(word in action for action in others["Action"] for word in ("Delete", "Policy", "Scanning"))
    assert others["Resource"] == own["Resource"]
