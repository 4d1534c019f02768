"""The data files of the repository against facts of the charts that they name: chart_facts/README.md."""

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication import datafiles, results
from dockerimage_replication.cli import main
from dockerimage_replication.datafiles import DataFiles
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.resolve import Resolution, Target, resolve
from production_charts import DATA, FACTS, facts, facts_file, fetched, named_images, served
from replication_support import ECR_HOST

VERSIONS = [f"1.{minor}" for minor in range(29, 37)]
# What a version file's `replication` puts in the place of what the chart says.
REPLACED = {
    "1.36": {
        "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0": (
            "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1"
        )
    }
}
MAX_FACTS = 300 * 1024  # bytes of all facts; they lie in every bundle of the module


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(version: str) -> DataFiles:
    return datafiles.load(DATA, version)


@pytest.fixture
def resolution(data: DataFiles) -> Resolution:
    return resolve(data, fetched(data), Target(ECR_HOST, "idf"))


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Run the real `lint` on a folder, with the charts of the facts behind the repositories' hosts."""
    workloads = [workload for name in VERSIONS for workload in datafiles.load(DATA, name).workloads]

    def lint(folder: Path) -> list[dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["lint", "lint", "--data-path", str(folder), "--json"])
        status = main()
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        assert status == (1 if found else 0)
        return found

    with served(workloads) as endpoints:
        monkeypatch.setenv("SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", endpoints)
        yield lint


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the data files, to break something in."""
    return Path(shutil.copytree(DATA, tmp_path / "versions"))


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_there_is_a_file_for_every_eks_version() -> None:
    assert datafiles.versions(DATA) == VERSIONS


def test_lint_finds_nothing_in_any_version(findings: Any) -> None:  # noqa: ANN401
    assert findings(DATA) == []


def test_a_stale_path_in_the_default_file_is_found_with_its_place(findings: Any, copy: Path) -> None:  # noqa: ANN401
    replaced(copy / "default.yaml", "path: sidecars.resizer.image.tag", "path: sidecars.resizer.imageTag")

    found = {(item["workload"], item["path"], item["eks_version"]) for item in findings(copy)}

    assert found == {
        (workload, "sidecars.resizer.imageTag", version)
        for workload in ("ebs_csi_driver", "fsx_driver")
        for version in VERSIONS
    }


def test_the_paths_of_a_newer_chart_do_not_pass_for_an_older_one(findings: Any, copy: Path) -> None:  # noqa: ANN401
    old = yaml.safe_load((copy / "1.30.yaml").read_text("utf-8"))
    del old["charts"]["cert_manager"]["images"]
    del old["charts"]["calico"]["replication"]
    (copy / "1.30.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")

    found = findings(copy)

    assert {item["path"] for item in found} == {"imageRegistry"}
    assert {item["eks_version"] for item in found} == {"1.30"}
    assert len(found) == 5


def test_every_version_copies_the_images_that_its_charts_name(version: str, resolution: Resolution) -> None:
    for chart in resolution.charts:
        key = chart.workload.key
        named = {REPLACED.get(version, {}).get(i, i) for i in named_images(facts(facts_file(chart.workload)))}
        copied = {
            image.source
            for image in resolution.images
            if any(reason.workload == key for reason in image.reasons)
        }
        assert copied == named, key


def test_every_chart_takes_the_kubernetes_version_that_it_is_for(version: str, data: DataFiles) -> None:
    for workload in data.workloads:
        wanted = facts(facts_file(workload))["chart"].get("kubeVersion", ">=1.0.0-0")
        # Every chart here states one lower bound, in one of these ways.
        match = re.fullmatch(r"(?:>=|\^) ?1\.(\d+)\.0-0", wanted)
        assert match, f"{workload.key}: {wanted}"
        assert int(match[1]) <= int(version.partition(".")[2]), workload.key


def test_the_autoscaler_is_of_the_minor_version_of_the_cluster(version: str, resolution: Resolution) -> None:
    (image,) = (item.source for item in resolution.images if "/cluster-autoscaler:" in item.source)

    assert image.startswith(f"registry.k8s.io/autoscaling/cluster-autoscaler:v{version}.")


def test_the_inventory_fits_into_an_environment_variable_and_has_no_list(
    data: DataFiles, resolution: Resolution
) -> None:
    inventory = results.inventory(data, resolution)

    assert len(results.compact(inventory)) < 128 * 1024
    assert list(lists(inventory)) == []


def lists(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, list):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from lists(item, f"{path}.{key}")


def test_every_version_says_what_those_who_install_the_charts_read(version: str) -> None:
    # They index both keys without a default.
    content = yaml.safe_load((DATA / f"{version}.yaml").read_text("utf-8"))

    assert content["ami"]["version"].startswith(f"{version}.")
    assert isinstance(content["charts"], dict)


def test_the_facts_are_those_of_the_charts_in_use_have_a_source_and_are_small() -> None:
    used = {facts_file(item) for version in VERSIONS for item in datafiles.load(DATA, version).workloads}

    assert set(FACTS.glob("*.yaml")) == used
    assert sum(path.stat().st_size for path in used) < MAX_FACTS
    for path in used:
        known = facts(path)
        assert {"repository", "tag", "commit", "path"} == set(known["source"]), path.name
        assert path.stem == f"{known['chart']['name']}-{known['chart']['version']}"
        assert set(known.get("left_out", {})) <= set(known["images"]), path.name


def test_what_charts_name_and_nobody_copies_is_accepted_and_nothing_else(data: DataFiles) -> None:
    for workload in data.workloads:
        left_out = facts(facts_file(workload)).get("left_out", {})
        names = {Reference.parse(image).repository for image in left_out}
        # Kyverno's entry without a repository is a setting and no image.
        accepted = {Reference.parse(entry).repository for entry in workload.accepted_images if "/" in entry}
        assert accepted == names, workload.key
