"""`verify` and `drift`: the lock against what registries have now."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication.cli import main
from dockerimage_replication.lock import Lock
from replication_support import (
    BUCKET,
    ECR_HOST,
    LOCK_KEY,
    MODULE,
    SECRET,
    World,
    chart_archive,
)

AGENT = f"{ECR_HOST}/idf-internet.local/team/agent:1"
APP_CHART = f"{ECR_HOST}/idf-charts/app:1.0.0_build.1"
STATE = f"s3://{BUCKET}/{LOCK_KEY}"

Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["dockerimage_replication", *arguments])
        return main()

    return call


@pytest.fixture
def applied(world: World, capsys: pytest.CaptureFixture[str]) -> World:
    world.apply()
    capsys.readouterr()
    return world


@pytest.fixture
def found(command: Command, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """The differences that a command prints as JSON; its exit status has to fit them."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        status = command(*arguments, "--json")
        answer = json.loads(capsys.readouterr().out)
        assert answer.keys() - {"proof"} == {"lock", "differences"}
        differences: list[dict[str, Any]] = answer["differences"]
        assert status == (1 if differences else 0)
        return differences

    return call


Found = Callable[..., list[dict[str, Any]]]


@pytest.mark.parametrize("name", ["verify", "drift", "diff"])
def test_nothing_differs_right_after_an_apply(
    applied: World, command: Command, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert command(name) == 0

    assert capsys.readouterr().out == f"differences from {STATE} (2 images, 2 charts): 0\n"


@pytest.mark.parametrize("name", ["verify", "drift"])
def test_what_is_gone_at_the_destination_is_found(applied: World, found: Found, name: str) -> None:
    applied.destination.delete("idf-internet.local/team/agent", applied.agent)

    assert found(name) == [
        {
            "what": "destination-missing",
            "private": AGENT,
            "asked": AGENT,
            "locked": applied.agent,
            "found": None,
            "why": f"{AGENT} does not exist: `apply` brings it back",
        }
    ]


@pytest.mark.parametrize("name", ["verify", "drift"])
def test_another_image_at_the_destination_is_found(applied: World, found: Found, name: str) -> None:
    foreign = applied.destination.push_image("idf-internet.local/team/agent", "1", b"foreign")

    (difference,) = found(name)

    assert difference["what"] == "destination-different"
    assert (difference["locked"], difference["found"]) == (applied.agent, foreign)


def test_drift_finds_a_tag_that_moved_and_verify_does_not_ask(applied: World, found: Found) -> None:
    moved = applied.source.push_image("team/agent", "1", b"moved")

    (difference,) = found("drift")
    assert difference["what"] == "tag-moved"
    assert difference["private"] == AGENT
    assert difference["asked"] == "internet.local/team/agent:1"
    assert (difference["locked"], difference["found"]) == (applied.agent, moved)
    assert "`apply --refresh` follows it" in difference["why"]
    assert found("verify") == []


def test_drift_finds_a_source_that_is_gone(applied: World, found: Found) -> None:
    applied.source.delete("team/agent", applied.agent)

    (difference,) = found("drift")

    assert difference["what"] == "source-gone"
    assert difference["why"] == "internet.local/team/agent:1 does not exist any more"


def test_drift_finds_a_chart_that_changed_or_went(applied: World, found: Found) -> None:
    applied.charts.replace("app", "1.0.0+build.1", chart_archive("app", "1.0.0+build.1", description="new"))

    (difference,) = found("drift")
    assert difference["what"] == "tag-moved"
    assert difference["private"] == APP_CHART
    assert difference["asked"] == "app 1.0.0+build.1 of https://charts.internet.local/charts"

    applied.charts.files.clear()
    (difference,) = found("drift")
    assert difference["private"] == APP_CHART
    assert difference["what"] == "source-gone"


def test_drift_finds_a_chart_of_a_registry_that_moved(applied: World, found: Found) -> None:
    applied.source.push_image("team/charts/tool", "0.1.0", b"other")

    (difference,) = found("drift")

    assert difference["what"] == "tag-moved"
    assert difference["asked"] == "internet.local/team/charts/tool:0.1.0"


def test_a_registry_that_does_not_answer_is_a_finding_and_the_others_are_still_asked(
    applied: World, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = applied.lock()
    image = replace(lock.images[AGENT], address="127.0.0.1:1/team/agent:1")
    write(applied, replace(lock, images={**lock.images, AGENT: image}))
    applied.destination.delete("idf-internet.local/team/app", applied.app)

    assert {difference["what"] for difference in found("drift")} == {"no-answer", "destination-missing"}


def test_verify_asks_for_what_is_attached(applied: World, found: Found) -> None:
    there = applied.destination.push_image("idf-internet.local/team/agent", "signature", b"signature")
    lock = applied.lock()
    image = replace(lock.images[AGENT], attached=("signature", there, "gone", f"sha256:{'0' * 64}"))
    write(applied, replace(lock, images={**lock.images, AGENT: image}))

    differences = found("verify")

    assert [(difference["what"], difference["asked"]) for difference in differences] == [
        ("attached-missing", f"{ECR_HOST}/idf-internet.local/team/agent:gone"),
        ("attached-missing", f"{ECR_HOST}/idf-internet.local/team/agent@sha256:{'0' * 64}"),
    ]


def test_verify_asks_for_every_image_of_the_inventory(applied: World, found: Found) -> None:
    lock = applied.lock()
    applied.destination.push_image("idf-internet.local/team/app", "v8", b"there")
    there, named = (f"{ECR_HOST}/idf-internet.local/team/app:{tag}" for tag in ("v8", "v9"))
    images = {"x": there, "y": named}
    write(applied, replace(lock, inventory={"images": images, "additional_images": {"z": "UPPER//"}}))

    differences = found("verify")

    assert [(difference["what"], difference["private"]) for difference in differences] == [
        ("destination-missing", named),
        ("destination-missing", "UPPER//"),
    ]


@pytest.mark.parametrize("name", ["verify", "drift"])
def test_a_lock_in_a_file_needs_no_bucket_and_no_aws(
    applied: World,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SEEDFARMER_PROJECT_NAME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr("boto3.Session.get_credentials", lambda session: None)

    assert command(name, "--lock", "replication_lock.json") == 0

    assert "differences from replication_lock.json (2 images, 2 charts): 0" in capsys.readouterr().out


def test_the_options_name_the_deployment(
    applied: World, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PROJECT_NAME", "DEPLOYMENT_NAME", "MODULE_NAME", "PARAMETER_EKS_VERSION"):
        monkeypatch.delenv(f"SEEDFARMER_{variable}")

    assert command("verify", "--project", "idf", "--deployment", "dev", "--module", MODULE) == 0
    assert command("verify", "--project", "idf", "--deployment", "prod", "--module", MODULE) == 1
    assert "there is no lock s3://" in capsys.readouterr().err


def test_without_a_deployment_or_credentials_it_is_usage(
    applied: World, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boto3.Session.get_credentials", lambda session: None)
    assert command("verify") == 2
    assert "there are no AWS credentials to read the lock with: name a file with --lock" in (
        capsys.readouterr().err
    )

    monkeypatch.delenv("SEEDFARMER_DEPLOYMENT_NAME")
    assert command("drift") == 2
    assert "SEEDFARMER_DEPLOYMENT_NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"), [("{", "replication_lock.json is not a lock"), (None, "cannot be read: No such")]
)
def test_a_lock_that_cannot_be_read_is_an_error(
    applied: World, command: Command, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    path = Path("replication_lock.json")
    path.unlink()
    if content:
        path.write_text(content)

    assert command("verify", "--lock", str(path)) == 1

    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


def test_drift_opens_private_chart_repositories_with_the_secret_and_shows_it_nowhere(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world.charts.password = SECRET
    world.aws.secrets.create_secret(
        Name="helm", SecretString=json.dumps({"username": "robot", "password": SECRET})
    )
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
    world.apply()

    assert command("drift", "--json") == 0

    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err


def write(world: World, lock: Lock) -> None:
    world.aws.s3.put_object(Bucket=BUCKET, Key=LOCK_KEY, Body=lock.serialise())
