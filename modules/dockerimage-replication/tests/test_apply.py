"""Whole runs: AWS in memory, real registries, a chart repository over http."""

import json
from pathlib import Path

import pytest
from dockerimage_replication import apply
from dockerimage_replication.module_outputs import OUTPUTS, STATE_KEY
from dockerimage_replication.proof.proof import SKIPPED
from dockerimage_replication.shared import ecr
from dockerimage_replication.shared.errors import UserError
from replication_support import (
    BUCKET,
    CHART_CONFIG,
    CHART_LAYER,
    ECR_HOST,
    KEY,
    LOCK_KEY,
    MODULE,
    PROVENANCE,
    SECRET,
    World,
    chart_archive,
)


def test_images_arrive_with_all_architectures_and_their_digest(world: World) -> None:
    world.apply()

    assert world.destination.digest("idf-internet.local/team/app", "v2.0") == world.app
    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent


def test_the_inventory_and_the_outputs_name_what_arrived(world: World) -> None:
    world.apply()

    image = f"{ECR_HOST}/idf-internet.local/team/app:v2.0"
    agent = f"{ECR_HOST}/idf-internet.local/team/agent:1"
    inventory = world.inventory()
    assert inventory["charts"]["app"] == {
        "helm": {
            "name": "app",
            "version": "1.0.0+build.1",
            "repository": f"oci://{ECR_HOST}/idf-charts/app",
            "srcRepository": "https://charts.internet.local/charts",
        },
        "values": {"image": {"registry": f"{ECR_HOST}/idf-internet.local", "repository": "team/app"}},
    }
    assert inventory["images"] == {
        "internet.local/team/app:v2.0": image,
        "internet.local/team/agent:1": agent,
    }
    assert inventory["additional_images"] == {"agent": agent}
    assert json.loads(Path("replication_result.json").read_text()) == inventory
    assert json.loads(Path("updated_images.json").read_text()) == [
        {"src": "internet.local/team/agent:1", "target": agent},
        {"src": "internet.local/team/app:v2.0", "target": image},
    ]
    outputs = json.loads(Path("module-outputs.json").read_text())
    assert set(outputs) == set(OUTPUTS)
    assert outputs["S3FullPath"] == outputs["s3_full_path"] == f"{BUCKET}/{KEY}"


def test_a_chart_of_an_http_repository_arrives_with_its_bytes(world: World) -> None:
    world.apply()

    manifest = world.destination.manifest("idf-charts/app", "1.0.0_build.1")
    (layer,) = manifest["layers"]
    assert manifest["config"]["mediaType"] == CHART_CONFIG
    assert layer["mediaType"] == CHART_LAYER
    assert world.destination.blob("idf-charts/app", layer["digest"]) == world.archive
    assert manifest["annotations"] == {
        "org.opencontainers.image.title": "app",
        "org.opencontainers.image.version": "1.0.0+build.1",
    }


def test_a_chart_of_a_registry_arrives_with_its_digest_and_provenance(world: World) -> None:
    world.apply()

    assert world.destination.digest("idf-charts/tool", "0.1.0") == world.tool
    layers = world.destination.manifest("idf-charts/tool", "0.1.0")["layers"]
    assert [layer["mediaType"] for layer in layers] == [CHART_LAYER, PROVENANCE]


def test_deploying_twice_changes_nothing(world: World) -> None:
    world.apply()
    before = {
        name: world.destination.digest(*name)
        for name in [("idf-charts/app", "1.0.0_build.1"), ("idf-internet.local/team/app", "v2.0")]
    }
    first = world.inventory()

    world.apply()

    assert {name: world.destination.digest(*name) for name in before} == before
    assert world.inventory() == first


def test_repositories_and_bucket_are_ours_and_on_record(world: World) -> None:
    world.apply()

    repositories = {
        "idf-internet.local/team/app",
        "idf-internet.local/team/agent",
        "idf-charts/app",
        "idf-charts/tool",
    }
    assert ecr.repository_names(world.aws.ecr) == repositories
    assert world.usage() == repositories
    assert world.objects() == {KEY, LOCK_KEY, STATE_KEY, f"usage/dev/{MODULE}.json"}


OUTSIDE = "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{image: 'ghcr.io/elsewhere/tool:v9'}]}\n"


def test_an_image_outside_fails_the_run_before_anything_is_made(world: World, newest_helm: Path) -> None:
    world.publish_template(OUTSIDE)

    with pytest.raises(UserError, match=r"`ghcr\.io/elsewhere/tool:v9` is outside the private registry"):
        world.apply()

    assert ecr.repository_names(world.aws.ecr) == set()
    assert world.aws.s3.list_buckets()["Buckets"] == []
    assert not Path("replication_result.json").exists()


def test_an_accepted_image_outside_does_not(
    world: World, newest_helm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish_template(OUTSIDE)
    world.default["charts"]["app"]["accepted_images"] = {"ghcr.io/elsewhere/tool": "only in tests"}

    world.apply()

    assert "ghcr.io/elsewhere/tool:v9" not in world.inventory()["images"]
    assert "accepted_images" not in json.dumps(world.inventory())
    assert "1 images, 1 of them accepted" in capsys.readouterr().out


def test_without_helm_the_log_says_so_and_the_run_goes_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish_template(OUTSIDE)

    world.apply()

    assert SKIPPED in capsys.readouterr().out


def test_what_a_deployment_no_longer_needs_leaves_its_record(world: World) -> None:
    world.apply()
    world.version = {"charts": {"tool": {"skip": True}}}

    world.apply()

    assert "idf-charts/tool" not in world.usage()
    assert "tool" not in world.inventory()["charts"]


def test_mappings_change_where_images_come_from(world: World) -> None:
    world.source.push_image("mirror/team/agent", "1", b"mirrored")
    world.version = {
        "docker_mappings": {"internet.local": "proxy.local/mirror"},
        "charts": {"tool": {"skip": True}, "app": {"skip": True}},
    }

    world.apply()

    mirrored = world.source.digest("mirror/team/agent", "1")
    assert world.destination.digest("idf-internet.local/team/agent", "1") == mirrored


def test_one_failure_does_not_stop_the_others_and_no_inventory_is_uploaded(world: World) -> None:
    world.default["additional_images"] |= {"gone": "internet.local/team/gone:1", "a": "internet.local/no:2"}

    with pytest.raises(UserError) as error:
        world.apply()

    assert str(error.value).startswith("2 of 6 images and charts could not be replicated")
    assert "internet.local/team/gone:1: " in str(error.value)
    assert "internet.local/no:2: " in str(error.value)
    assert world.destination.digest("idf-internet.local/team/app", "v2.0") == world.app
    assert KEY not in world.objects()
    assert not Path("replication_result.json").exists()
    assert not Path("module-outputs.json").exists()
    assert "idf-internet.local/team/gone" in world.usage()


def test_a_failed_run_keeps_the_use_of_what_the_last_good_one_replicated(world: World) -> None:
    world.apply()
    world.default["additional_images"] = {"gone": "internet.local/team/gone:1"}

    with pytest.raises(UserError):
        world.apply()

    assert {"idf-internet.local/team/agent", "idf-internet.local/team/gone"} <= world.usage()


def test_problems_of_charts_are_all_found_before_anything_is_made(world: World) -> None:
    world.default["charts"]["app"]["images"]["app"]["repository"]["path"] = "image.name"
    world.default["charts"]["tool"]["version"] = "9.9.9"
    world.default["charts"]["absent"] = {
        "name": "absent",
        "repository": "https://charts.internet.local/charts",
        "version": "1.0.0",
    }

    with pytest.raises(UserError) as error:
        world.apply()

    message = str(error.value)
    assert "charts.app.images.app.repository: chart app 1.0.0+build.1: `image.name` does not exist" in message
    assert "charts.tool: chart tool 9.9.9: " in message
    assert "charts.absent: chart absent 1.0.0: " in message
    assert world.aws.s3.list_buckets()["Buckets"] == []
    assert ecr.repository_names(world.aws.ecr) == set()


def test_an_archive_with_another_chart_in_it_is_refused(world: World) -> None:
    world.charts.add("app", "3.0.0", chart_archive("app", "2.9.9"))
    world.version = {"charts": {"app": {"version": "3.0.0"}}}

    with pytest.raises(UserError, match=r"the archive holds the chart app 2\.9\.9 instead"):
        world.apply()


def test_the_secret_opens_the_chart_repository_and_shows_up_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world.charts.password = SECRET
    entry = {"team": {"username": "robot", "password": SECRET}}
    world.aws.secrets.create_secret(Name="helm", SecretString=json.dumps(entry))
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_KEY", "team")

    world.apply()

    assert world.charts.requests[0][1] is None
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err + Path("replication_result.json").read_text()


def test_a_wrong_secret_is_reported_without_its_content(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.charts.password = "another"
    world.aws.secrets.create_secret(
        Name="helm", SecretString=json.dumps({"username": "robot", "password": SECRET})
    )
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")

    with pytest.raises(UserError) as error:
        world.apply()

    assert "charts.app: chart app 1.0.0+build.1: " in str(error.value)
    assert "refused the credentials" in str(error.value)
    assert SECRET not in str(error.value)


def test_two_deployments_share_repositories_and_keep_their_own_inventories(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply()
    monkeypatch.setenv("SEEDFARMER_DEPLOYMENT_NAME", "prod")

    world.apply()

    assert {KEY, f"prod-{MODULE}-metadata.json"} <= world.objects()
    assert len(ecr.repository_names(world.aws.ecr)) == 4


def test_with_json_a_run_prints_what_is_in_place_and_nothing_else(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.write_data()

    assert apply.apply(as_json=True) == 0

    printed = json.loads(capfd.readouterr().out)
    assert printed["problems"] == []
    assert printed["inventory"] == f"{BUCKET}/{KEY}"
    digests = {image["private"]: image["digest"] for image in printed["images"]}
    assert digests == {private: image.digest for private, image in world.lock().images.items()}
    assert {chart["name"] for chart in printed["charts"]} == {"app", "tool"}


def test_with_json_the_problems_are_printed_too(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.default["additional_images"] |= {"absent": "internet.local/team/absent:1"}
    world.write_data()

    assert apply.apply(as_json=True) == 1

    [problem] = json.loads(capfd.readouterr().out)["problems"]
    assert "internet.local/team/absent:1" in problem


def test_a_provenance_file_of_an_http_repository_becomes_the_second_layer(world: World) -> None:
    """As Helm pushes it, so that `helm pull --verify` finds it."""
    world.publish()
    signed = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n"
    world.charts.files["/charts/app-1.0.0+build.1.tgz.prov"] = signed
    world.apply()
    layers = world.destination.manifest("idf-charts/app", "1.0.0_build.1")["layers"]
    assert [layer["mediaType"] for layer in layers] == [CHART_LAYER, PROVENANCE]
    assert world.destination.blob("idf-charts/app", layers[0]["digest"]) == world.archive
    assert world.destination.blob("idf-charts/app", layers[1]["digest"]) == signed
