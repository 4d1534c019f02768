"""`verify` renders the charts of the destination, and asks for every image that they name."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication.cli import main
from dockerimage_replication.lock import Lock, LockedWorkload
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.proof import program
from proof_support import manifest, pod
from replication_support import BUCKET, ECR_HOST, LOCK_KEY, World

APP = f"{ECR_HOST}/idf-internet.local/team/app"
APP_CHART = f"{ECR_HOST}/idf-charts/app:1.0.0_build.1"
OWN = "{{ .Values.image.registry }}/{{ .Values.image.repository }}:v{{ .Chart.AppVersion }}"
PLACE = "Pod/x spec.containers[0].image, it is the image of a container"

Verified = tuple[list[dict[str, Any]], dict[str, Any], str]


@pytest.fixture
def verified(
    world: World,
    newest_helm: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Verified]:
    """Differences, proof and stderr of a `verify` after an apply without helm, which proves nothing."""

    def call(*templates: str, change: Callable[[Lock], Lock] = lambda lock: lock) -> Verified:
        monkeypatch.setattr(program, "helm_on_path", lambda: None)
        world.publish_template("---\n".join(templates))
        world.apply()
        world.aws.s3.put_object(Bucket=BUCKET, Key=LOCK_KEY, Body=change(world.lock()).serialise())
        monkeypatch.setattr(program, "helm_on_path", lambda: newest_helm)
        capsys.readouterr()
        return again(monkeypatch, capsys)

    return call


def again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verified:
    monkeypatch.setattr(sys, "argv", ["dockerimage_replication", "verify", "--json"])
    status = main()
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert status == (1 if answer["differences"] else 0)
    return answer["differences"], answer["proof"], printed.err


def found(differences: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(item["what"], item["private"], item["asked"]) for item in differences]


def with_workload(lock: Lock, **parts: Any) -> Lock:  # noqa: ANN401 - any attribute
    """The lock with another rendering of the workload `app`."""
    assert lock.rendering is not None
    workloads = {**lock.rendering.workloads, "app": replace(lock.rendering.workloads["app"], **parts)}
    return replace(lock, rendering=replace(lock.rendering, workloads=workloads))


def test_the_lock_keeps_what_the_data_files_say_about_rendering(world: World) -> None:
    world.default["charts"]["app"] |= {
        "render_values": {"size": 3},
        "accepted_images": {"ghcr.io/elsewhere/tool": "for tests"},
    }
    world.version["docker_mappings"] = {"quay.local": "proxy.local/quay"}
    world.apply()

    rendering = world.lock().rendering

    assert rendering is not None
    assert rendering.eks_version == "1.33"
    assert rendering.hosts == ("proxy.local", "quay.local")
    assert rendering.workloads == {
        "app": LockedWorkload(APP_CHART, {"size": 3}, {"ghcr.io/elsewhere/tool": "for tests"}),
        "tool": LockedWorkload(f"{ECR_HOST}/idf-charts/tool:0.1.0"),
    }
    world.apply()
    assert world.lock().rendering == rendering


def test_charts_that_name_private_images_only_differ_in_nothing(
    verified: Callable[..., Verified], newest_helm: Path
) -> None:
    differences, proof, said = verified(pod(OWN))

    assert differences == []
    assert proof == {"helm": f"v{newest_helm.parent.name}", "skipped": None}
    assert said == ""


def test_an_image_outside_the_destination_is_a_difference_with_its_place(
    verified: Callable[..., Verified],
) -> None:
    differences, _, _ = verified(pod(OWN), pod("ghcr.io/elsewhere/tool:v9"))

    (difference,) = differences
    assert found(differences) == [("rendered-outside", APP_CHART, "ghcr.io/elsewhere/tool:v9")]
    assert difference["why"] == (
        f"charts.app: `ghcr.io/elsewhere/tool:v9` is outside the private registry ({PLACE})"
    )


def test_an_accepted_image_may_stay_outside(world: World, verified: Callable[..., Verified]) -> None:
    world.default["charts"]["app"]["accepted_images"] = {"ghcr.io/elsewhere/tool": "is optional"}

    assert verified(pod("ghcr.io/elsewhere/tool:v9"))[0] == []


def test_what_is_missing_is_named_with_its_place(world: World, verified: Callable[..., Verified]) -> None:
    """Of an image in the lock, and of one that only the chart names; what is there is no difference."""
    world.destination.push_image("idf-internet.local/team/app", "by-hand")
    named = [pod(OWN), *(pod(f"{APP}:{tag}") for tag in ("by-hand", "gone"))]

    def lose(lock: Lock) -> Lock:
        world.destination.delete("idf-internet.local/team/app", world.app)
        return lock

    differences, _, _ = verified(*named, change=lose)

    assert [(item["what"], item["private"]) for item in differences] == [
        ("destination-missing", f"{APP}:v2.0"),
        ("destination-missing", f"{APP}:gone"),
    ]
    assert [item["why"] for item in differences] == [
        f"{APP}:v2.0 does not exist: `apply` brings it back (charts.app: {PLACE})",
        f"{APP}:gone does not exist, and the lock does not name it: add it to the data files "
        f"(charts.app: {PLACE})",
    ]


def test_a_pinned_digest_is_asked_for_and_not_its_tag(
    world: World, verified: Callable[..., Verified]
) -> None:
    other = world.destination.push_image("idf-internet.local/team/app", "other", b"other")
    gone = f"sha256:{'0' * 64}"

    differences, _, _ = verified(pod(f"{APP}:v2.0@{other}"), pod(f"{APP}:v2.0@{gone}"))

    assert found(differences) == [("destination-missing", f"{APP}@{gone}", f"{APP}@{gone}")]


def test_each_image_is_asked_for_once(
    verified: Callable[..., Verified], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    head = Repository.head_manifest

    async def noted(self: Repository, identifier: str) -> str:
        asked.append(f"{self}:{identifier}")
        return await head(self, identifier)

    def watch(lock: Lock) -> Lock:
        monkeypatch.setattr(Repository, "head_manifest", noted)
        return lock

    verified(pod(OWN), pod(OWN), pod(f"{APP}:gone"), change=watch)

    assert len(asked) == len(set(asked)) == 5  # two images, two charts, and the one that is gone


def test_values_of_inventory_and_installer_are_rendered_with(verified: Callable[..., Verified]) -> None:
    """The inventory's win, as they do when the chart is installed."""
    template = manifest("ConfigMap", data={"image": "{{ .Values.further }}"})

    def change(lock: Lock) -> Lock:
        return with_workload(
            lock, render_values={"further": "quay.io/x/y:1", "image": {"registry": "evil.io"}}
        )

    differences, _, _ = verified(pod(OWN), template, change=change)

    assert found(differences) == [("rendered-outside", APP_CHART, "quay.io/x/y:1")]


def test_a_chart_that_cannot_be_rendered_is_a_difference_and_the_others_are_rendered(
    world: World,
    verified: Callable[..., Verified],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    differences, _, _ = verified('{{ fail "no size is given" }}')

    assert found(differences) == [("not-rendered", APP_CHART, APP_CHART)]
    assert "no size is given" in differences[0]["why"]

    world.destination.delete("idf-charts/tool", world.tool)
    differences, _, _ = again(monkeypatch, capsys)
    assert [(item["what"], item["private"].rpartition("/")[2]) for item in differences] == [
        ("destination-missing", "tool:0.1.0"),
        ("not-rendered", "tool:0.1.0"),
        ("not-rendered", "app:1.0.0_build.1"),
    ]


def test_the_chart_of_the_lock_is_rendered_and_not_what_its_tag_names_now(
    world: World, verified: Callable[..., Verified]
) -> None:
    def retag(lock: Lock) -> Lock:
        world.destination.push_image("idf-charts/app", "1.0.0_build.1")  # no chart at all
        return lock

    differences, _, _ = verified(pod("ghcr.io/elsewhere/tool:v9"), change=retag)

    assert [item["what"] for item in differences] == ["destination-different", "rendered-outside"]


def test_without_helm_a_line_says_how_to_have_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.apply()
    capsys.readouterr()

    differences, proof, said = again(monkeypatch, capsys)

    assert differences == []
    assert proof["helm"] is None
    assert said == f"{proof['skipped']}\n"
    assert said.startswith("the charts are not rendered")
    assert "set the parameter `helm-distro-url`, or put helm on PATH" in said


def test_a_lock_of_an_older_release_renders_nothing_and_says_so(verified: Callable[..., Verified]) -> None:
    differences, proof, said = verified(
        pod("ghcr.io/elsewhere/tool:v9"), change=lambda lock: replace(lock, rendering=None)
    )

    assert differences == []
    assert proof["helm"] is None
    assert "the lock does not say with what, which the next `apply` writes there" in said
