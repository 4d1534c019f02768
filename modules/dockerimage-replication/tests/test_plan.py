"""`plan`: what a deploy would copy, and why, without touching anything."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from dockerimage_replication.cli import main
from dockerimage_replication.proof.proof import SKIPPED
from dockerimage_replication.shared import ecr
from replication_support import ACCOUNT, ECR_HOST, SECRET, World

HERE = ("--account", ACCOUNT, "--region", "us-east-1")

Plan = Callable[..., int]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["dockerimage_replication", "plan", *arguments])
        return main()

    return call


@pytest.fixture
def aws_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The AWS operations that are called."""
    calls: list[str] = []
    call = botocore.client.BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - botocore's own
        calls.append(operation)
        return call(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
    return calls


def printed(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(capsys.readouterr().out)


def test_the_json_says_what_is_copied_and_why(
    world: World, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_data()

    assert plan("--json", *HERE) == 0

    assert printed(capsys) == {
        "charts": [
            {
                "workload": "app",
                "name": "app",
                "version": "1.0.0+build.1",
                "source": "https://charts.internet.local/charts",
                "private": f"{ECR_HOST}/idf-charts/app:1.0.0_build.1",
            },
            {
                "workload": "tool",
                "name": "tool",
                "version": "0.1.0",
                "source": "oci://internet.local/team/charts",
                "private": f"{ECR_HOST}/idf-charts/tool:0.1.0",
            },
        ],
        "images": [
            {
                "source": "internet.local/team/agent:1",
                "address": "internet.local/team/agent:1",
                "private": f"{ECR_HOST}/idf-internet.local/team/agent:1",
                "reasons": [{"additional_image": "agent"}],
            },
            {
                "source": "internet.local/team/app:v2.0",
                "address": "internet.local/team/app:v2.0",
                "private": f"{ECR_HOST}/idf-internet.local/team/app:v2.0",
                "reasons": [
                    {
                        "workload": "app",
                        "chart": "app",
                        "version": "1.0.0+build.1",
                        "image": "app",
                        "paths": ["image.registry", "image.repository"],
                    }
                ],
            },
        ],
        "proof": {"helm": None, "skipped": SKIPPED, "images": [], "warnings": []},
        "problems": [],
    }


OUTSIDE = "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{image: 'ghcr.io/elsewhere/tool:v9'}]}\n"


def test_what_the_charts_name_when_they_are_rendered_is_in_the_plan(
    world: World, plan: Plan, newest_helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish_template(OUTSIDE)
    world.write_data()

    assert plan("--json", *HERE) == 1

    planned = printed(capsys)
    assert [image["source"] for image in planned["images"]] == [
        "internet.local/team/agent:1",
        "internet.local/team/app:v2.0",
    ]
    assert planned["proof"] == {
        "helm": f"v{newest_helm.parent.name}",
        "skipped": None,
        "images": [
            {
                "workload": "app",
                "image": "ghcr.io/elsewhere/tool:v9",
                "places": [
                    {"where": "Pod/x spec.containers[0].image", "why": "it is the image of a container"}
                ],
                "problem": "is outside the private registry",
                "accepted": None,
            }
        ],
        "warnings": [],
    }
    assert planned["problems"] == []


def test_an_accepted_image_is_no_reason_to_fail_and_people_see_why(
    world: World, plan: Plan, newest_helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish_template(OUTSIDE)
    accepted = {"ghcr.io/elsewhere/tool": "only in tests", "quay.io/gone": "was there once"}
    world.default["charts"]["app"]["accepted_images"] = accepted
    world.write_data()

    assert plan(*HERE) == 0

    said = capsys.readouterr().out
    assert "  app: ghcr.io/elsewhere/tool:v9 accepted (only in tests)\n" in said
    assert "    at Pod/x spec.containers[0].image: it is the image of a container\n" in said
    assert "warning: charts.app.accepted_images: `quay.io/gone` matches nothing" in said


def test_a_chart_that_cannot_be_rendered_is_a_problem(
    world: World, plan: Plan, newest_helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish_template('{{ fail "no moon" }}')
    world.write_data()

    assert plan("--json", *HERE) == 1

    (problem,) = printed(capsys)["problems"]
    assert problem.startswith("charts.app: chart app 1.0.0+build.1 cannot be rendered: ")
    assert "no moon" in problem


def test_a_plan_is_what_the_deploy_then_does(
    world: World, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    world.source.push_image("mirror/team/app", "v2.0", b"app")
    world.source.push_image("mirror/team/agent", "1", b"agent")
    world.version = {
        "docker_mappings": {"internet.local": "proxy.local/mirror"},
        "charts": {"tool": {"skip": True}},
    }
    world.write_data()
    assert plan("--json") == 0
    planned = printed(capsys)

    world.apply()

    inventory = world.inventory()
    copied = json.loads(Path("updated_images.json").read_text())
    assert {image["source"]: image["private"] for image in planned["images"]} == inventory["images"]
    assert [{"src": image["address"], "target": image["private"]} for image in planned["images"]] == copied
    for chart in planned["charts"]:
        helm = inventory["charts"][chart["workload"]]["helm"]
        repository, _, tag = chart["private"].rpartition(":")
        assert helm["repository"] == f"oci://{repository}"
        assert world.destination.digest(repository.partition("/")[2], tag)


def test_nothing_is_made_and_a_named_account_costs_no_aws_call(
    world: World, plan: Plan, aws_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_data()
    before = {path for path in Path.cwd().rglob("*") if path.is_file()}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")

    assert plan(*HERE) == 0

    assert aws_calls == []
    assert world.destination.digest("idf-internet.local/team/app", "v2.0") is None
    assert {path for path in Path.cwd().rglob("*") if path.is_file()} == before


def test_the_account_of_the_credentials_is_only_looked_at(
    world: World, plan: Plan, aws_calls: list[str]
) -> None:
    world.write_data()

    assert plan() == 0

    assert aws_calls == ["GetCallerIdentity"]
    assert ecr.repository_names(world.aws.ecr) == set()
    assert world.aws.s3.list_buckets()["Buckets"] == []


def test_with_an_account_of_its_own_the_secret_opens_private_repositories(
    world: World, plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.charts.password = SECRET
    login = json.dumps({"username": "robot", "password": SECRET})
    world.aws.secrets.create_secret(Name="helm", SecretString=login)
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
    world.write_data()

    assert plan() == 0
    assert plan(*HERE) == 1
    assert SECRET not in "".join(capsys.readouterr())


def test_people_read_the_reasons_line_by_line(
    world: World, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    world.version = {"docker_mappings": {"internet.local": "proxy.local/mirror"}}
    del world.default["charts"]["tool"]
    world.write_data()

    assert plan(*HERE) == 0

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "from proxy.local/mirror/team/app:v2.0" in lines
    assert f"to {ECR_HOST}/idf-internet.local/team/app:v2.0" in lines
    assert "for app.app (chart app 1.0.0+build.1, values image.registry, image.repository)" in lines
    assert "for additional_images.agent" in lines


def test_options_win_over_the_environment(
    world: World, plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "default.yaml").write_text("additional_images: {tool: 'busybox:1'}")
    (tmp_path / "1.34.yaml").write_text("ami: {version: '1'}")

    options = ("--eks-version", "1.34", "--data-path", str(tmp_path), "--project", "other")
    assert plan("--json", *options, "--account", "999999999999", "--region", "cn-north-1") == 0

    (image,) = printed(capsys)["images"]
    assert image["address"] == "docker.io/library/busybox:1"
    assert image["private"] == "999999999999.dkr.ecr.cn-north-1.amazonaws.com.cn/other-busybox:1"


def test_all_problems_end_in_status_1(world: World, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    world.default["charts"]["app"]["images"]["app"]["repository"]["path"] = "image.name"
    world.default["charts"]["tool"]["version"] = "9.9.9"
    world.write_data()

    assert plan(*HERE) == 1
    said = capsys.readouterr().err
    assert "`image.name` does not exist" in said
    assert "charts.tool: chart tool 9.9.9: " in said

    assert plan("--json", *HERE) == 1
    found = printed(capsys)
    assert (found["charts"], found["images"]) == ([], [])
    assert [problem.split(": ")[1] for problem in found["problems"]] == [
        "charts.app.images.app.repository",
        "charts.tool",
    ]


def test_a_data_file_that_cannot_be_read_is_a_problem_in_json_too(
    world: World, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    world.default["charts"]["app"]["imagez"] = {}
    world.default["charts"]["tool"]["vversion"] = "1"
    world.write_data()

    assert plan("--json", *HERE) == 1

    assert printed(capsys)["problems"] == [
        "default.yaml: charts.app.imagez: this key is unknown",
        "default.yaml: charts.tool.vversion: this key is unknown",
    ]


def test_wrong_usage_ends_in_status_2(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan("--eks-version", "1.3") == 2
    said = capsys.readouterr().err
    assert "`eks-version`" in said
    assert "SEEDFARMER_PROJECT_NAME" in said
    assert "SEEDFARMER_DEPLOYMENT_NAME" not in said

    with pytest.raises(SystemExit) as error:
        plan("--unknown")
    assert error.value.code == 2


def test_without_credentials_the_registry_has_to_be_named(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: None)

    assert plan("--eks-version", "1.33", "--project", "idf") == 2
    assert "--account and --region" in capsys.readouterr().err

    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert plan("--eks-version", "1.33", "--project", "idf", "--account", ACCOUNT) == 2
    assert "--region" in capsys.readouterr().err
