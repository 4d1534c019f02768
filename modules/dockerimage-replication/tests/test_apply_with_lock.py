"""The next runs: what the lock spares, what it keeps, and what it gives back."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from dockerimage_replication import cleanup
from dockerimage_replication.lock import LockedChart, LockedImage
from dockerimage_replication.module_outputs import STATE_KEY
from dockerimage_replication.shared.errors import UserError
from registry_doubles.proxy import Proxy
from registry_doubles.recording import Recording
from replication_support import BUCKET, ECR_HOST, KEY, LOCK_KEY, MODULE, World, chart_archive

APP = f"{ECR_HOST}/idf-internet.local/team/app:v2.0"
AGENT = f"{ECR_HOST}/idf-internet.local/team/agent:1"
FILES = ("replication_result.json", "updated_images.json", "replication_lock.json", "module-outputs.json")


class Requests:
    """What arrives at the registries and the chart repository, counted at proxies in front of them."""

    def __init__(self, sources: list[Recording], destination: Recording) -> None:
        self._sides = {"source": sources, "destination": [destination]}

    def at(self, side: str) -> Counter[tuple[str, str]]:
        return Counter((seen.method, seen.target) for part in self._sides[side] for seen in part.records)

    def clear(self) -> None:
        for recordings in self._sides.values():
            for recording in recordings:
                recording.clear()


@pytest.fixture
def requests(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    with (
        Proxy(world.source.address) as source,
        Proxy(world.charts.address) as charts,
        Proxy(world.destination.address) as destination,
    ):
        endpoints = {
            ECR_HOST: f"http://{destination.address}",
            "internet.local": f"http://{source.address}",
            "charts.internet.local": f"http://{charts.address}",
        }
        monkeypatch.setenv("SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", json.dumps(endpoints))
        yield Requests([source.recording, charts.recording], destination.recording)


def head(repository: str, tag: str) -> tuple[str, str]:
    return "HEAD", f"/v2/{repository}/manifests/{tag}"


def test_the_lock_says_what_was_fetched_from_where(world: World) -> None:
    world.apply()

    lock = world.lock()
    assert lock.images == {
        APP: LockedImage("internet.local/team/app:v2.0", "internet.local/team/app:v2.0", world.app),
        AGENT: LockedImage("internet.local/team/agent:1", "internet.local/team/agent:1", world.agent),
    }
    chart = f"{ECR_HOST}/idf-charts/app:1.0.0_build.1"
    pushed = world.destination.digest("idf-charts/app", "1.0.0_build.1")
    assert lock.charts == {
        chart: LockedChart("app", "1.0.0+build.1", "https://charts.internet.local/charts", str(pushed)),
        f"{ECR_HOST}/idf-charts/tool:0.1.0": LockedChart(
            "tool",
            "0.1.0",
            "oci://internet.local/team/charts",
            world.tool,
            "internet.local/team/charts/tool:0.1.0",
        ),
    }
    assert lock.inventory == world.inventory()
    assert Path("replication_lock.json").read_bytes() == lock.serialise()


def test_a_run_with_nothing_to_do_asks_the_destination_once_per_image_and_no_source(
    world: World, requests: Requests
) -> None:
    world.apply()
    requests.clear()

    world.apply()

    assert requests.at("source") == Counter()
    assert requests.at("destination") == Counter(
        [
            head("idf-internet.local/team/app", "v2.0"),
            head("idf-internet.local/team/agent", "1"),
            head("idf-charts/app", "1.0.0_build.1"),
            head("idf-charts/tool", "0.1.0"),
        ]
    )


def test_a_run_with_nothing_to_do_leaves_the_same_files_inventory_and_lock(world: World) -> None:
    world.apply()
    files = {name: Path(name).read_bytes() for name in FILES}
    inventory, lock, usage = world.inventory(), world.lock(), world.usage()
    for name in FILES:
        Path(name).unlink()
    world.aws.s3.delete_object(Bucket=BUCKET, Key=KEY)

    world.apply()

    assert {name: Path(name).read_bytes() for name in FILES} == files
    assert (world.inventory(), world.lock(), world.usage()) == (inventory, lock, usage)


def test_a_tag_that_moved_at_the_source_is_followed_with_refresh_only(world: World) -> None:
    world.apply()
    moved = world.source.push_image("team/agent", "1", b"moved")

    world.apply()
    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent

    world.apply(refresh=True)
    assert world.destination.digest("idf-internet.local/team/agent", "1") == moved
    assert world.lock().images[AGENT].digest == moved


def test_the_parameter_refresh_tags_does_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply()
    moved = world.source.push_image("team/agent", "1", b"moved")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_REFRESH_TAGS", "true")

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == moved


def test_an_image_that_is_gone_at_the_destination_comes_back_as_the_lock_has_it(
    world: World, requests: Requests
) -> None:
    world.apply()
    world.source.push_image("team/agent", "1", b"moved")
    world.destination.delete("idf-internet.local/team/agent", world.agent)
    requests.clear()

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent
    asked = {target for _, target in requests.at("source")}
    assert f"/v2/team/agent/manifests/{world.agent}" in asked
    assert "/v2/team/agent/manifests/1" not in asked
    assert all(target.startswith("/v2/team/agent/") for target in asked)


def test_another_image_under_the_tag_at_the_destination_is_replaced(world: World) -> None:
    world.apply()
    world.destination.push_image("idf-internet.local/team/agent", "1", b"foreign")

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent


def test_a_source_that_lost_the_digest_is_asked_by_its_tag_and_the_log_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.apply()
    moved = world.source.push_image("team/agent", "1", b"moved")
    world.source.delete("team/agent", world.agent)
    world.destination.delete("idf-internet.local/team/agent", world.agent)

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == moved
    assert world.lock().images[AGENT].digest == moved
    assert f"internet.local/team/agent:1 has lost {world.agent}" in capsys.readouterr().out


def test_a_chart_that_is_gone_at_the_destination_is_fetched_again(world: World) -> None:
    world.apply()
    before = world.lock()
    world.destination.delete("idf-charts/app", before.digests[f"{ECR_HOST}/idf-charts/app:1.0.0_build.1"])
    world.source.push_image("team/agent", "1", b"moved")

    world.apply()

    assert world.destination.digest("idf-charts/app", "1.0.0_build.1") is not None
    assert world.lock() == before


def test_a_chart_that_changed_under_its_version_is_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.apply()
    values = {"image": {"registry": "internet.local", "repository": "team/app"}, "new": 1}
    world.charts.replace(
        "app", "1.0.0+build.1", chart_archive("app", "1.0.0+build.1", appVersion="2.0", values=values)
    )
    world.version = {"ami": {"version": "2"}}

    world.apply()

    assert "chart app 1.0.0+build.1 of https://charts.internet.local/charts is another one" in (
        capsys.readouterr().out
    )


def test_changed_data_files_are_resolved_and_what_stays_keeps_its_digest(
    world: World, requests: Requests
) -> None:
    world.apply()
    world.source.push_image("team/agent", "1", b"moved")
    more = world.source.push_image("team/more", "1", b"more")
    world.default["additional_images"]["more"] = "internet.local/team/more:1"
    requests.clear()

    world.apply()

    assert world.destination.digest("idf-internet.local/team/more", "1") == more
    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent
    asked = {path for _, path in requests.at("source")}
    assert not any(path.startswith(("/v2/team/app/", "/v2/team/agent/")) for path in asked)
    assert requests.at("destination")[head("idf-internet.local/team/agent", "1")] == 1


def test_an_image_that_is_now_fetched_from_elsewhere_is_asked_there(world: World) -> None:
    world.apply()
    mirrored = world.source.push_image("mirror/team/agent", "1", b"mirrored")
    world.source.push_image("mirror/team/app", "v2.0", b"app")
    world.version = {
        "docker_mappings": {"internet.local": "proxy.local/mirror"},
        "charts": {"tool": {"skip": True}},
    }

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == mirrored
    assert world.lock().images[AGENT].address == "proxy.local/mirror/team/agent:1"


def test_what_was_copied_with_an_image_or_chart_stays_in_the_lock(world: World) -> None:
    world.apply()
    lock = world.lock()
    tool = f"{ECR_HOST}/idf-charts/tool:0.1.0"
    image = replace(lock.images[AGENT], attached=("signature",))
    chart = replace(lock.charts[tool], attached=("signature",))
    lock = replace(lock, images={**lock.images, AGENT: image}, charts={**lock.charts, tool: chart})
    world.aws.s3.put_object(Bucket=BUCKET, Key=LOCK_KEY, Body=lock.serialise())

    world.apply()
    assert world.lock() == lock

    world.version = {"ami": {"version": "2"}}
    world.apply()
    assert world.lock().attached == lock.attached


@pytest.mark.parametrize("content", [b"{", b'{"version": 99}', b'{"version": 1}'])
def test_a_lock_that_cannot_be_read_is_named_and_does_not_block_a_run(
    world: World, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    world.apply()
    before = world.lock()
    world.aws.s3.put_object(Bucket=BUCKET, Key=LOCK_KEY, Body=content)

    world.apply()

    assert world.lock() == before
    assert f"goes without a lock, and writes a new one: s3://{BUCKET}/{LOCK_KEY} is " in (
        capsys.readouterr().out
    )


def test_without_its_lock_a_run_asks_everything_again(world: World) -> None:
    world.apply()
    moved = world.source.push_image("team/agent", "1", b"moved")
    world.aws.s3.delete_object(Bucket=BUCKET, Key=LOCK_KEY)

    world.apply()

    assert world.destination.digest("idf-internet.local/team/agent", "1") == moved


def test_a_run_that_fails_leaves_the_last_lock(world: World) -> None:
    world.apply()
    before = world.lock()
    world.default["additional_images"]["gone"] = "internet.local/team/gone:1"

    with pytest.raises(UserError):
        world.apply()

    assert world.lock() == before


def test_a_first_run_that_fails_leaves_no_lock(world: World) -> None:
    world.default["additional_images"]["gone"] = "internet.local/team/gone:1"

    with pytest.raises(UserError):
        world.apply()

    assert LOCK_KEY not in world.objects()
    assert not Path("replication_lock.json").exists()


def test_the_inventory_is_uploaded_after_the_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []
    call = botocore.client.BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:  # noqa: ANN401 - botocore's own
        if operation == "PutObject":
            keys.append(parameters["Key"])
        return call(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)

    world.apply()

    usage = f"usage/dev/{MODULE}.json"
    assert [key for key in keys if key in (LOCK_KEY, KEY)] == [LOCK_KEY, KEY]
    assert (keys[0], keys[-1]) == (usage, usage)


def test_two_deployments_have_a_lock_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply()
    first = world.lock()
    monkeypatch.setenv("SEEDFARMER_DEPLOYMENT_NAME", "prod")
    world.version = {"charts": {"tool": {"skip": True}}}

    world.apply()

    assert {LOCK_KEY, f"prod-{MODULE}-lock.json"} <= world.objects()
    assert world.lock() == first


def test_destroy_removes_the_lock_and_keeps_that_of_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply()
    monkeypatch.setenv("SEEDFARMER_DEPLOYMENT_NAME", "prod")
    world.apply()
    monkeypatch.setenv("SEEDFARMER_PARAMETER_RETENTION_TYPE", "DESTROY")

    cleanup.destroy()

    assert world.objects() == {KEY, LOCK_KEY, f"usage/dev/{MODULE}.json", STATE_KEY}


def test_a_lock_holds_no_secret_and_no_endpoint(world: World) -> None:
    world.apply()

    text = json.dumps(json.loads(Path("replication_lock.json").read_text()))
    assert "127.0.0.1" not in text
