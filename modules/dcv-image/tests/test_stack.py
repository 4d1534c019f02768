"""The stack: one policy, no wider than the pod needs, and clean under cdk-nag."""

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks
from dcv_image.settings import Parameters
from dcv_image.shared.settings import load
from dcv_image.stack import MAX_POLICY_NAME, RuntimePolicyStack, policy_name


@pytest.fixture
def stack(environment: pytest.MonkeyPatch) -> RuntimePolicyStack:
    app = cdk.App()
    made = RuntimePolicyStack(
        app, *load(Parameters), env=cdk.Environment(account="123456789012", region="us-east-1")
    )
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    return made


@pytest.mark.parametrize("level", ["find_error", "find_warning"])
def test_cdk_nag_finds_nothing(stack: RuntimePolicyStack, level: str) -> None:
    found = getattr(Annotations.from_stack(stack), level)("*", Match.string_like_regexp("AwsSolutions-.*"))

    assert [item.entry.data for item in found] == []


def test_the_policy_allows_what_the_pod_needs_and_no_more(stack: RuntimePolicyStack) -> None:
    template = Template.from_stack(stack).to_json()
    (policy,) = [r for r in template["Resources"].values() if r["Type"] == "AWS::IAM::ManagedPolicy"]
    allowed = {
        statement["Sid"]: (statement["Action"], _text(statement["Resource"]))
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }

    here = "us-east-1:123456789012"
    assert policy["Properties"]["ManagedPolicyName"] == "idf-prod-desktops-dcv-us-east-1-runtime"
    assert allowed == {
        "ReadSessionCredentials": (
            "secretsmanager:GetSecretValue",
            f"arn:P:secretsmanager:{here}:secret:dcv-credentials-??????",
        ),
        "PublishDisplay": (
            ["ssm:GetParameters", "ssm:PutParameter"],
            [
                f"arn:P:ssm:{here}:parameter/idf/prod/desktops-dcv/dcv-display",
                f"arn:P:ssm:{here}:parameter/idf/prod/desktops-dcv/dcv-socket-mount-path",
            ],
        ),
        "ReadDcvLicence": ("s3:GetObject", "arn:P:s3:::dcv-license.us-east-1/*"),
    }


def test_the_stack_holds_nothing_else(stack: RuntimePolicyStack) -> None:
    resources = Template.from_stack(stack).to_json()["Resources"]

    assert {item["Type"] for item in resources.values()} <= {"AWS::IAM::ManagedPolicy", "AWS::CDK::Metadata"}


def test_a_name_too_long_for_iam_is_cut_and_stays_distinct() -> None:
    names = {policy_name(f"{'x' * MAX_POLICY_NAME}{number}") for number in range(3)}

    assert len(names) == 3
    assert all(len(name) == MAX_POLICY_NAME for name in names)


def _text(value: object) -> object:
    """Resources as text, with their partition written as P."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(str(_text(part)) for part in value["Fn::Join"][1])
    return "P" if isinstance(value, dict) else str(value)
