"""The runtime policy against the calls that the image makes: each is allowed, and nothing else is.

The emulator enforces no policy, so the calls are recorded and compared. One permission is not of a call of
ours: the DCV server itself reads its licence from the bucket `dcv-license.<region>` (Amazon DCV
Administrator Guide, Licensing the Amazon DCV server).
"""

from fnmatch import fnmatchcase
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template
from dcv_image.settings import Parameters as ModuleParameters
from dcv_image.shared.settings import load
from dcv_image.stack import RuntimePolicyStack
from dcv_server import credentials
from dcv_server.publication.parameters import Parameters
from dcv_ssm import NAMES, REGION, ScriptedAws

ACCOUNT = "123456789012"
OF_THE_DCV_SERVER = {("s3:GetObject", f"arn:aws:s3:::dcv-license.{REGION}/*")}
SECRET = "dcv-credentials"
# Secrets Manager ends every ARN in six random characters.
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{SECRET}-a1B2c3"


@pytest.fixture
def allowed(environment: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Action and resource of each permission in the policy."""
    stack = RuntimePolicyStack(
        cdk.App(), *load(ModuleParameters), env=cdk.Environment(account=ACCOUNT, region=REGION)
    )
    resources = Template.from_stack(stack).to_json()["Resources"]
    (policy,) = [item for item in resources.values() if item["Type"] == "AWS::IAM::ManagedPolicy"]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    return {
        (action, _arn(resource))
        for statement in statements
        for action in _list(statement["Action"])
        for resource in _list(statement["Resource"])
    }


@pytest.fixture
def called(scripted_aws: ScriptedAws) -> set[tuple[str, str]]:
    """Action and resource of each call that a start and a publication make."""
    scripted_aws.answers.append((200, {"SecretString": '{"UserName": "user", "Password": "password"}'}))
    credentials.read({**scripted_aws.environment(), "DCV_SM_NAME": SECRET})
    Parameters(NAMES, scripted_aws.environment()).ensure(
        {"display": ":1", "socket_mount_path": "/var/addf/dcv-eks/sockets"}
    )
    return {call for service, action, given in scripted_aws.asked for call in _calls(service, action, given)}


def test_every_call_is_allowed(allowed: set[tuple[str, str]], called: set[tuple[str, str]]) -> None:
    assert [call for call in called if not _is_allowed(call, allowed)] == []


def test_every_permission_is_used(allowed: set[tuple[str, str]], called: set[tuple[str, str]]) -> None:
    unused = {item for item in allowed if not any(_is_allowed(call, {item}) for call in called)}

    assert unused == OF_THE_DCV_SERVER


def test_what_lies_beside_is_not_allowed(allowed: set[tuple[str, str]]) -> None:
    beside = {
        ("secretsmanager:GetSecretValue", SECRET_ARN.replace(SECRET, f"{SECRET}-other")),
        ("secretsmanager:PutSecretValue", SECRET_ARN),
        ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/idf/prod/other/dcv-display"),
        ("ssm:DeleteParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{NAMES['display']}"),
        ("s3:GetObject", "arn:aws:s3:::dcv-license.eu-west-1/x"),
    }

    assert [call for call in beside if _is_allowed(call, allowed)] == []


def _calls(service: str, action: str, given: dict[str, Any]) -> set[tuple[str, str]]:
    if service == "secretsmanager":
        assert given["SecretId"] == SECRET
        return {(f"secretsmanager:{action}", SECRET_ARN)}
    assert service == "AmazonSSM"
    names = given["Names"] if action == "GetParameters" else [given["Name"]]
    return {(f"ssm:{action}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}") for name in names}


def _is_allowed(call: tuple[str, str], allowed: set[tuple[str, str]]) -> bool:
    return any(call[0] == action and fnmatchcase(call[1], resource) for action, resource in allowed)


def _list(value: Any) -> list[Any]:  # noqa: ANN401  CloudFormation's own shape
    return value if isinstance(value, list) else [value]


def _arn(value: Any) -> str:  # noqa: ANN401  CloudFormation's own shape
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(_arn(part) for part in value["Fn::Join"][1])
    return "aws" if isinstance(value, dict) else str(value)
