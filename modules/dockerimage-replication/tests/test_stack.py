"""The stack of one deployment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match, Template
from cdk_nag import AwsSolutionsChecks
from dockerimage_replication.shared.settings import SeedFarmerSettings
from dockerimage_replication.stack import MAX_POLICY_NAME, ReplicationStack, policy_name
from replication_support import ACCOUNT, BUCKET

MODULE = Path(__file__).parents[1]


def settings(project: str = "idf", deployment: str = "dev") -> SeedFarmerSettings:
    return SeedFarmerSettings(
        project_name=project, deployment_name=deployment, module_name="replication-images"
    )


@pytest.fixture(scope="module")
def stack() -> ReplicationStack:
    app = cdk.App()
    made = ReplicationStack(app, settings(), cdk.Environment(account=ACCOUNT, region="us-east-1"))
    cdk.Aspects.of(app).add(AwsSolutionsChecks())
    return made


@pytest.fixture(scope="module")
def statements(stack: ReplicationStack) -> dict[str, dict[str, Any]]:
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::ManagedPolicy").values()
    return {entry["Sid"]: entry for entry in policy["Properties"]["PolicyDocument"]["Statement"]}


def test_cdk_nag_finds_nothing(stack: ReplicationStack) -> None:
    annotations = Annotations.from_stack(stack)
    anything = Match.string_like_regexp("AwsSolutions-.*")

    findings = annotations.find_error("*", anything) + annotations.find_warning("*", anything)

    assert [finding.entry.data for finding in findings] == []


def test_the_policy_is_all_there_is(stack: ReplicationStack) -> None:
    resources = Template.from_stack(stack).to_json()["Resources"]

    assert [resource["Type"] for resource in resources.values()] == ["AWS::IAM::ManagedPolicy"]
    (policy,) = resources.values()
    assert policy["Properties"]["ManagedPolicyName"] == "idf-dev-replication-images-us-east-1-pull"


def test_it_reads_this_inventory_and_no_other(statements: dict[str, dict[str, Any]]) -> None:
    statement = statements["ReadInventory"]

    assert statement["Action"] == "s3:GetObject"
    assert f"{BUCKET}/dev-replication-images-metadata.json" in json.dumps(statement["Resource"])


def test_it_pulls_from_the_project_and_pushes_nowhere(statements: dict[str, dict[str, Any]]) -> None:
    statement = statements["PullReplicated"]

    assert json.dumps(statement["Resource"]).endswith(f':ecr:us-east-1:{ACCOUNT}:repository/idf-*"]]}}')
    assert not any(word in action for action in statement["Action"] for word in ("Put", "Upload", "Delete"))


def test_it_does_not_pull_what_another_project_has_tagged(statements: dict[str, dict[str, Any]]) -> None:
    """`idf-*` is also how the repositories of the project idf-other begin."""
    condition = {"StringEqualsIfExists": {"aws:ResourceTag/SeedFarmerProject": "idf"}}

    assert statements["PullReplicated"]["Condition"] == condition


def test_a_name_that_iam_cannot_take_is_cut_and_stays_unique() -> None:
    one, other = (policy_name(settings("p" * 60, "d" * 60 + end), "us-east-1") for end in "ab")

    assert len(one) == len(other) == MAX_POLICY_NAME
    assert one != other


def test_the_app_hands_on_the_outputs_of_the_run(tmp_path: Path) -> None:
    outputs = {"S3Bucket": BUCKET}
    (tmp_path / "module-outputs.json").write_text(json.dumps(outputs))

    run_app(tmp_path, [str(MODULE / "app.py")]).check_returncode()

    template = json.loads((tmp_path / "out/idf-dev-replication-images.template.json").read_text())
    assert json.loads(template["Outputs"]["metadata"]["Value"]) == outputs


def test_the_app_does_not_load_the_replication(tmp_path: Path) -> None:
    """Every `cdk` command starts the app, and the HTTP client and boto3 are slow to load."""
    lines = (MODULE / "app.py").read_text().splitlines()
    imports = "\n".join(line for line in lines if line.startswith(("import", "from")))
    look = "import sys; print(*sorted({'boto3', 'aiohttp', 'yaml'} & set(sys.modules)))"

    assert run_app(tmp_path, ["-c", f"{imports}\n{look}"]).stdout.strip() == ""


def test_the_app_refuses_wrong_parameters_without_a_traceback(tmp_path: Path) -> None:
    done = run_app(tmp_path, [str(MODULE / "app.py")], SEEDFARMER_PARAMETER_EKS_VERSION="1.3")

    assert done.returncode == 2
    assert "manifest parameter `eks-version`" in done.stderr
    assert "Traceback" not in done.stderr


def run_app(folder: Path, arguments: list[str], **changed: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as the deployspec does for the app."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(MODULE),
        "SEEDFARMER_PROJECT_NAME": "idf",
        "SEEDFARMER_DEPLOYMENT_NAME": "dev",
        "SEEDFARMER_MODULE_NAME": "replication-images",
        "SEEDFARMER_PARAMETER_EKS_VERSION": "1.33",
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": "us-east-1",
        "CDK_OUTDIR": str(folder / "out"),
        **changed,
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
