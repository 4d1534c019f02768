"""From charts to images and value overrides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication import datafiles, results
from dockerimage_replication.charts.archive import ChartError
from dockerimage_replication.resolve import FetchResult, Resolution, Target, resolve
from dockerimage_replication.shared.errors import UserError
from replication_support import ECR_HOST, fetched_chart

TARGET = Target(ECR_HOST, "idf")


def located(path: str, location: str = "values", **more: str) -> dict[str, str]:
    return {"location": location, "path": path, **more}


def workload(images: Mapping[str, Any], name: str = "app", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "name": name,
        "repository": "https://example.com/charts",
        "version": "1.0.0",
        "images": images,
        **more,
    }


class Case:
    """Data files and charts; what resolves to what."""

    def __init__(self, folder: Path) -> None:
        self.default: dict[str, Any] = {"charts": {}}
        self.version: dict[str, Any] = {}
        self.charts: dict[str, FetchResult] = {}
        self._folder = folder

    def add(self, key: str, images: Mapping[str, Any], chart: FetchResult, **more: Any) -> None:  # noqa: ANN401
        self.default["charts"][key] = workload(images, **more)
        self.charts[key] = chart

    def resolve(self) -> Resolution:
        (self._folder / "default.yaml").write_text(yaml.safe_dump(self.default, sort_keys=False))
        (self._folder / "1.33.yaml").write_text(yaml.safe_dump(self.version, sort_keys=False))
        return resolve(datafiles.load(self._folder, "1.33"), self.charts, TARGET)

    def values(self, key: str = "app") -> Mapping[str, object]:
        return next(chart.values for chart in self.resolve().charts if chart.workload.key == key)

    def sources(self) -> list[str]:
        return [image.source for image in self.resolve().images]

    def problems(self) -> list[str]:
        with pytest.raises(UserError) as error:
            self.resolve()
        return str(error.value).split("\n  - ")[1:]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_a_repository_value_gets_the_whole_private_name(case: Case) -> None:
    chart = fetched_chart(values={"image": {"repository": "quay.io/team/app", "tag": "v1"}})
    case.add("app", {"app": {"repository": located("image.repository"), "tag": located("image.tag")}}, chart)

    assert case.sources() == ["quay.io/team/app:v1"]
    assert case.values() == {"image": {"repository": f"{ECR_HOST}/idf-quay.io/team/app", "tag": "v1"}}


def test_a_registry_value_gets_the_prefix_and_the_repository_stays(case: Case) -> None:
    chart = fetched_chart(values={"image": {"registry": "quay.io", "repository": "team/app", "tag": "v1"}})
    entry = {
        "registry": located("image.registry"),
        "repository": located("image.repository"),
        "tag": located("image.tag"),
    }
    case.add("app", {"app": entry}, chart)

    assert case.sources() == ["quay.io/team/app:v1"]
    assert case.values() == {
        "image": {"registry": f"{ECR_HOST}/idf-quay.io", "repository": "team/app", "tag": "v1"}
    }


def test_one_registry_value_serves_images_whose_names_the_chart_composes(case: Case) -> None:
    """The layout that the installation of Calico needs: it puts every name behind this one registry."""
    registry = located("tigeraOperator.registry")
    tag = located("appVersion", "chart")
    chart = fetched_chart(
        values={"tigeraOperator": {"registry": "quay.io", "image": "tigera/operator"}}, appVersion="v3.27.0"
    )
    case.add(
        "calico",
        {
            "node": {"registry": registry, "repository": {"name": "calico/node"}, "tag": tag},
            "typha": {"registry": registry, "repository": {"name": "calico/typha"}, "tag": tag},
            "operator": {"registry": registry, "repository": located("tigeraOperator.image"), "tag": tag},
        },
        chart,
    )

    assert case.values("calico") == {
        "tigeraOperator": {"registry": f"{ECR_HOST}/idf-quay.io", "image": "tigera/operator"}
    }
    for image in case.resolve().images:
        path = image.source.removeprefix("quay.io/")
        assert image.private == f"{ECR_HOST}/idf-quay.io/{path}"


def test_a_tag_from_the_metadata_is_not_written_into_the_values(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io/team/app"}, appVersion="1.2.3")
    tag = located("appVersion", "chart", prefix="v")
    case.add("app", {"app": {"repository": located("image"), "tag": tag}}, chart)

    assert case.sources() == ["quay.io/team/app:v1.2.3"]
    assert case.values() == {"image": f"{ECR_HOST}/idf-quay.io/team/app"}


def test_a_prefix_that_the_chart_writes_itself_stays_out_of_the_value(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io/team/app", "tag": "1.2.3"})
    case.add("app", {"app": {"repository": located("image"), "tag": located("tag", prefix="v")}}, chart)

    assert case.sources() == ["quay.io/team/app:v1.2.3"]
    assert case.values()["tag"] == "1.2.3"


def test_a_suffix_that_the_chart_writes_itself_stays_out_of_the_value(case: Case) -> None:
    tag = located("tag", suffix="-distroless")
    chart = fetched_chart(values={"image": "quay.io/team/app", "tag": "v1"})
    case.add("app", {"app": {"repository": located("image"), "tag": tag}}, chart)

    assert case.sources() == ["quay.io/team/app:v1-distroless"]
    assert case.values()["tag"] == "v1"


def test_an_image_that_one_version_does_not_have_is_left_out_there(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io/team/app:1"})
    gone = {"repository": located("sidecar.image")}
    case.add("app", {"app": {"repository": located("image")}, "sidecar": gone}, chart)
    assert len(case.problems()) == 1

    case.version = {"charts": {"app": {"replication": {"sidecar": {"skip": True}}}}}

    assert case.sources() == ["quay.io/team/app:1"]


def test_a_value_may_hold_the_whole_reference(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io:8443/team/app:1.2"})
    case.add("app", {"app": {"repository": located("image")}}, chart)

    assert case.sources() == ["quay.io:8443/team/app:1.2"]
    assert case.values() == {"image": f"{ECR_HOST}/idf-quay.io_8443/team/app:1.2"}


def test_a_subchart_is_addressed_below_its_key(case: Case) -> None:
    chart = fetched_chart(
        values={"metrics": {"image": {"registry": "registry.k8s.io"}}},
        subcharts={"metrics": {"image": {"registry": "quay.io", "repository": "metrics"}}},
    )
    entry = {
        "registry": located("image.registry", subchart="metrics"),
        "repository": located("image.repository", subchart="metrics"),
        "tag": located("version", "chart", subchart="metrics", prefix="v"),
    }
    case.add("app", {"metrics": entry}, chart, subcharts=["metrics"])

    assert case.sources() == ["registry.k8s.io/metrics:v0.1.0"]
    assert case.values() == {
        "metrics": {"image": {"registry": f"{ECR_HOST}/idf-registry.k8s.io", "repository": "metrics"}}
    }


def test_a_removed_value_becomes_empty(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io/app:1", "digest": "sha256:00"})
    case.add("app", {"app": {"repository": located("image"), "remove": {"path": "digest"}}}, chart)

    assert case.values()["digest"] == ""


def test_the_version_file_can_replace_parts_of_a_reference(case: Case) -> None:
    chart = fetched_chart(values={"image": {"registry": None, "repository": "app", "tag": "old"}})
    entry = {
        "registry": located("image.registry"),
        "repository": located("image.repository"),
        "tag": located("image.tag"),
    }
    case.add("app", {"app": entry}, chart)
    case.version = {
        "charts": {"app": {"replication": {"app": {"registry": "reg.example.com", "tag": "v1.33.0"}}}}
    }

    assert case.sources() == ["reg.example.com/app:v1.33.0"]
    assert case.values() == {
        "image": {"registry": f"{ECR_HOST}/idf-reg.example.com", "repository": "app", "tag": "v1.33.0"}
    }


def test_own_values_stay_below_the_overrides(case: Case) -> None:
    chart = fetched_chart(values={"image": "quay.io/app:1"})
    own = {"image": "somewhere/else", "resources": {"limits": {"cpu": 1}}}
    case.add("app", {"app": {"repository": located("image")}}, chart, values=own)

    assert case.values() == {
        "image": f"{ECR_HOST}/idf-quay.io/app:1",
        "resources": {"limits": {"cpu": 1}},
    }


def test_an_image_of_two_workloads_is_listed_once_with_both_reasons(case: Case) -> None:
    entry = {"app": {"repository": located("image")}}
    case.add("one", entry, fetched_chart("app", values={"image": "quay.io/app:1"}))
    case.add("two", entry, fetched_chart("other", values={"image": "quay.io/app:1"}), name="other")
    case.default["additional_images"] = {"extra": "quay.io/app:1"}

    (image,) = case.resolve().images

    assert [(reason.workload, reason.paths) for reason in image.reasons] == [
        ("one", ("image",)),
        ("two", ("image",)),
        (None, ()),
    ]


def test_mappings_change_the_address_and_no_name(case: Case) -> None:
    case.add(
        "app", {"app": {"repository": located("image")}}, fetched_chart(values={"image": "quay.io/app:1"})
    )
    case.version = {"docker_mappings": {"quay.io": "proxy.example/quay"}}

    (image,) = case.resolve().images

    assert str(image.address) == "proxy.example/quay/app:1"
    assert image.private == f"{ECR_HOST}/idf-quay.io/app:1"
    assert results.updated_images(case.resolve().images) == [
        {"src": "proxy.example/quay/app:1", "target": f"{ECR_HOST}/idf-quay.io/app:1"}
    ]


def test_everything_stale_is_reported_in_one_pass(case: Case) -> None:
    case.add(
        "kyverno",
        {
            "init": {"repository": located("initImage.repository"), "tag": located("appVersion", "chart")},
            "cleanup": {"repository": located("webhooksCleanup.image")},
            "main": {"registry": located("image.registry"), "repository": located("image.repository")},
            "digest": {"repository": {"name": "a"}, "remove": {"path": "image.digest"}},
        },
        fetched_chart(
            "kyverno",
            values={"webhooksCleanup": {"image": {"tag": 1}}, "image": {"registry": None, "repository": "a"}},
        ),
        name="kyverno",
    )
    case.add(
        "reporter",
        {"ui": {"repository": located("image", subchart="ui")}},
        fetched_chart("policy-reporter", values={}),
        name="policy-reporter",
        subcharts=["ui"],
    )
    case.add("gone", {}, ChartError("https://example.com/charts has no chart of this name"), name="gone")
    case.version = {"charts": {"reporter": {"images": {"new": {"repository": located("a.b")}}}}}

    problems = case.problems()

    place = "default.yaml: charts.kyverno.images"
    assert problems == [
        f"{place}.init.repository: chart kyverno 1.0.0: `initImage.repository` does not exist",
        f"{place}.init.tag: chart kyverno 1.0.0: `appVersion` does not exist",
        f"{place}.cleanup.repository: chart kyverno 1.0.0: `webhooksCleanup.image` is a mapping and not a "
        "text",
        f"{place}.main.registry: chart kyverno 1.0.0: `image.registry` is empty, so the chart takes it from "
        "somewhere else: name that place, or set it in the version file's `replication`",
        f"{place}.digest.remove: chart kyverno 1.0.0: `image.digest` does not exist",
        "default.yaml: charts.reporter.subcharts: chart policy-reporter 1.0.0 has no subchart `ui`",
        "default.yaml: charts.reporter.images.ui.repository: chart policy-reporter 1.0.0: `image` of "
        "subchart `ui` does not exist, since the chart has no such subchart",
        "1.33.yaml: charts.reporter.images.new.repository: chart policy-reporter 1.0.0: `a.b` does not exist",
        "default.yaml: charts.gone: chart gone 1.0.0: https://example.com/charts has no chart of this name",
    ]


def test_a_path_through_a_list_is_an_error_and_no_list_is_written(case: Case) -> None:
    chart = fetched_chart(values={"sidecars": [{"image": "quay.io/app:1"}]})
    case.add("app", {"app": {"repository": located("sidecars.0.image")}}, chart)

    (problem,) = case.problems()

    assert "leads through the list `sidecars`" in problem


def test_two_images_cannot_want_different_things_in_one_value(case: Case) -> None:
    chart = fetched_chart(values={"one": "quay.io", "repo": "a", "two": "ghcr.io/b"})
    entry = {"registry": located("one"), "repository": located("repo")}
    case.add("app", {"a": entry, "b": {"repository": located("repo")}}, chart)

    (problem,) = case.problems()

    assert "`repo`" in problem
    assert "something else by another image" in problem


@pytest.mark.parametrize("value", ["quay.io/UPPER", "a b", "quay.io/app:1:2"])
def test_a_value_that_is_no_reference_is_reported(case: Case, value: str) -> None:
    case.add("app", {"app": {"repository": located("image")}}, fetched_chart(values={"image": value}))

    (problem,) = case.problems()

    assert "is not an image reference" in problem


def test_different_charts_cannot_share_a_destination(case: Case) -> None:
    case.add("one", {}, fetched_chart(values={"a": 1}))
    case.add("two", {}, fetched_chart(values={"a": 2}), repository="https://other.example/charts")

    (problem,) = case.problems()

    assert "charts.two and charts.one" in problem


def test_the_inventory_has_what_its_readers_read(case: Case) -> None:
    case.add(
        "app",
        {"app": {"repository": located("image")}},
        fetched_chart("app", "1.0.0+build.1", values={"image": "quay.io/app:1"}),
    )
    case.default["charts"]["app"]["version"] = "1.0.0+build.1"
    case.default["additional_images"] = {"agent": "busybox"}
    case.version = {"ami": {"version": "1.33.0-20250715"}}
    resolution = case.resolve()

    inventory = results.inventory(datafiles.load(case._folder, "1.33"), resolution)

    assert inventory == {
        "ami": {"version": "1.33.0-20250715"},
        "charts": {
            "app": {
                "helm": {
                    "name": "app",
                    "version": "1.0.0+build.1",
                    "repository": f"oci://{ECR_HOST}/idf-charts/app",
                    "srcRepository": "https://example.com/charts",
                },
                "values": {"image": f"{ECR_HOST}/idf-quay.io/app:1"},
            }
        },
        "additional_images": {"agent": f"{ECR_HOST}/idf-busybox:latest"},
        "images": {
            "busybox": f"{ECR_HOST}/idf-busybox:latest",
            "quay.io/app:1": f"{ECR_HOST}/idf-quay.io/app:1",
        },
    }
    assert resolution.charts[0].private == f"{ECR_HOST}/idf-charts/app:1.0.0_build.1"
    assert resolution.repositories == {"idf-busybox", "idf-quay.io/app", "idf-charts/app"}


def test_an_inventory_that_no_environment_variable_can_hold_is_refused() -> None:
    name = "SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA="
    fits = {"images": {"a": "x" * (results.MAX_INVENTORY - len('{"images":{"a":""}}'))}}

    assert len(name) + len(results.compact(fits)) < 128 * 1024
    with pytest.raises(UserError, match="the inventory has"):
        results.compact({"images": {"a": "x" * results.MAX_INVENTORY}})
