"""The stack: explicit names, a role no wider than the service needs, nothing for cdk-nag to say."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks
from image_builder.module_outputs import OUTPUTS
from image_builder.settings import Parameters
from image_builder.shared.settings import load
from image_builder.stack import MAX_ROLE_NAME, ImageBuilderStack, role_name

PREFIX = "SEEDFARMER_PARAMETER_"
HERE = "us-east-1:123456789012"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/ABC123"


def make_stack() -> ImageBuilderStack:
    seedfarmer, parameters = load(Parameters)
    outputs = {name: f"value of {name}" for name in OUTPUTS}
    where = cdk.Environment(account="123456789012", region="us-east-1")
    return ImageBuilderStack(
        cdk.App(), seedfarmer=seedfarmer, parameters=parameters, outputs=outputs, env=where
    )


def resources(kind: str) -> list[dict[str, Any]]:
    found = Template.from_stack(make_stack()).find_resources(kind)
    return [item["Properties"] for item in found.values()]


def statements() -> dict[str, tuple[object, object]]:
    (policy,) = resources("AWS::IAM::Policy")
    return {
        item["Sid"]: (item["Action"], _text(item["Resource"]))
        for item in policy["PolicyDocument"]["Statement"]
    }


def trust() -> dict[str, Any]:
    (role,) = resources("AWS::IAM::Role")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    found: dict[str, Any] = statement
    return found


def test_the_stack_has_the_name_by_which_seedfarmer_reads_its_outputs() -> None:
    assert make_stack().stack_name == "airgap-test-group-module"


def test_every_declared_output_is_in_the_metadata() -> None:
    metadata = json.dumps(Template.from_stack(make_stack()).find_outputs("metadata"))

    assert all(name in metadata for name in OUTPUTS)


@pytest.mark.parametrize("level", ["find_error", "find_warning"])
def test_cdk_nag_finds_nothing(level: str) -> None:
    stack = make_stack()
    cdk.Aspects.of(stack).add(AwsSolutionsChecks())

    found = getattr(Annotations.from_stack(stack), level)("*", Match.string_like_regexp("AwsSolutions-.*"))

    assert [item.entry.data for item in found] == []


def test_the_role_may_do_what_the_service_does_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}REPLICATED_ECR_IMAGES_METADATA_S3_PATH", "bucket/inventory.json")
    monkeypatch.setenv(f"{PREFIX}DCV_IMAGE_URI", f"{REGISTRY}/workstation@sha256:{'0' * 64}")

    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    push = ["ecr:CompleteLayerUpload", "ecr:CreateRepository", "ecr:InitiateLayerUpload"]
    push += ["ecr:PutImage", "ecr:TagResource", "ecr:UploadLayerPart"]
    assert statements() == {
        "LogIn": ("ecr:GetAuthorizationToken", "*"),
        "PullBases": (
            pull,
            [f"arn:P:ecr:{HERE}:repository/airgap-*", f"arn:P:ecr:{HERE}:repository/workstation"],
        ),
        "PushImages": (pull + push, f"arn:P:ecr:{HERE}:repository/airgap-test-images/*"),
        "ReadInventory": ("s3:GetObject", "arn:P:s3:::bucket/inventory.json"),
    }


def test_without_an_inventory_nothing_is_read_from_s3() -> None:
    assert set(statements()) == {"LogIn", "PullBases", "PushImages"}


def test_pod_identity_gives_the_role_to_the_service_accounts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}EKS_CLUSTER_NAME", "production")

    found = trust()

    assert found["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert found["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    condition = found["Condition"]["StringEquals"]
    cluster = condition.pop("aws:RequestTag/eks-cluster-arn")
    assert _text(cluster) == f"arn:P:eks:{HERE}:cluster/production"
    assert condition == {
        "aws:SourceAccount": "123456789012",
        "aws:RequestTag/kubernetes-namespace": "dcrx-kv",
        "aws:RequestTag/kubernetes-service-account": ["dcrx-kv", "dcrx-kv-builds"],
    }


def test_with_the_clusters_provider_the_role_is_for_irsa(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
    monkeypatch.setenv(f"{PREFIX}EKS_OIDC_ARN", provider)
    monkeypatch.setenv(f"{PREFIX}NAMESPACE", "builds")

    found = trust()

    assert found["Principal"] == {"Federated": provider}
    assert found["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert found["Condition"] == {
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": [
                "system:serviceaccount:builds:dcrx-kv",
                "system:serviceaccount:builds:dcrx-kv-builds",
            ],
        }
    }


def test_secrets_are_random_and_stand_in_no_template() -> None:
    found = {item["Name"]: item for item in resources("AWS::SecretsManager::Secret")}

    assert set(found) == {
        "airgap-modules/airgap/test/group-module/secret-key",
        "airgap-modules/airgap/test/group-module/administrator",
    }
    for item in found.values():
        assert item["GenerateSecretString"]["PasswordLength"] >= 32
        assert "SecretString" not in item


def test_a_name_too_long_for_iam_is_cut_and_stays_distinct() -> None:
    names = {role_name(f"{'x' * MAX_ROLE_NAME}{number}") for number in range(3)}

    assert len(names) == 3
    assert all(len(name) == MAX_ROLE_NAME for name in names)


def _text(value: object) -> object:
    """Resources as text, with their partition written as P."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(str(_text(part)) for part in value["Fn::Join"][1])
    return "P" if isinstance(value, dict) else str(value)


def test_a_release_without_irsa_gives_the_service_accounts_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}RELEASE_TO_EKS", "true")
    monkeypatch.setenv(f"{PREFIX}EKS_CLUSTER_NAME", "production")
    monkeypatch.setenv(f"{PREFIX}DATABASE_SECRET_NAME", "database")
    monkeypatch.setenv(f"{PREFIX}NAMESPACE", "images")

    found = resources("AWS::EKS::PodIdentityAssociation")

    assert {(item["ClusterName"], item["Namespace"], item["ServiceAccount"]) for item in found} == {
        ("production", "images", "dcrx-kv"),
        ("production", "images", "dcrx-kv-builds"),
    }

    monkeypatch.setenv(f"{PREFIX}EKS_OIDC_ARN", f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}")
    assert resources("AWS::EKS::PodIdentityAssociation") == []
