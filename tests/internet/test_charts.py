"""The charts: packaged alike every time, accepted by helm, and naming only images of the box."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from localcloud.internet import box, charts

DATA = Path(__file__).parents[2] / "data" / "local_dockerimage-replication" / "versions"


def run_helm(helm: Path, home: Path, *arguments: str) -> str:
    folders = {f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run([helm, *arguments], env={**os.environ, **folders}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def archives(content: box.Content) -> list[Path]:
    stable = sorted((content.charts.http / "stable").glob("*.tgz"))
    layout = content.charts.layout
    layers = [layout.read(item.digest)["layers"][0]["digest"] for item in layout.references.values()]
    return [*stable, *(layout.blob(digest) for digest in layers)]


def test_packaging_twice_gives_the_same_bytes(content: box.Content) -> None:
    for source in charts.SOURCES.iterdir():
        first, second = (charts.package(source, content.images) for _ in range(2))
        assert first.archive == second.archive


def test_index_digests_match_the_archives(content: box.Content) -> None:
    for repository, names in charts.HTTP_REPOSITORIES.items():
        folder = content.charts.http / repository
        index = yaml.safe_load((folder / "index.yaml").read_text())
        assert set(index["entries"]) == set(names)
        for (entry,) in index["entries"].values():
            (url,) = entry["urls"]
            assert entry["digest"] == hashlib.sha256((folder / url).read_bytes()).hexdigest()


def test_archives_have_the_charts_name_as_prefix(content: box.Content) -> None:
    for path in archives(content):
        with tarfile.open(path) as archive:
            names = archive.getnames()
        assert names[0].endswith("/Chart.yaml")
        assert {name.partition("/")[0] for name in names} == {names[0].partition("/")[0]}


def test_charts_are_cached(content: box.Content, tmp_path: Path) -> None:
    said: list[str] = []
    first = charts.build_charts(tmp_path, content.images, said.append)
    second = charts.build_charts(tmp_path, content.images, said.append)
    assert first == second
    assert len(said) == 1


def test_helm_finds_no_fault(content: box.Content, helm: Path, tmp_path: Path) -> None:
    packed = []
    for number, archive in enumerate(archives(content)):
        # helm asks for the ending, which the content store does not have.
        packed.append(tmp_path / f"{number}.tgz")
        packed[-1].write_bytes(archive.read_bytes())
    for source in [*charts.SOURCES.iterdir(), *packed]:
        assert "0 chart(s) failed" in run_helm(helm, tmp_path, "lint", "--strict", str(source))


def test_every_image_of_the_charts_is_in_the_box(content: box.Content, helm: Path, tmp_path: Path) -> None:
    references = content.images.references
    named = set()
    for path in archives(content):
        manifests = run_helm(helm, tmp_path, "template", "release", str(path))
        named |= set(re.findall(r'image: "?([^"\s]+)', manifests))
    assert len(named) == 5
    for image in named:
        tagged, _, digest = image.partition("@")
        assert tagged in references
        assert digest in ("", references[tagged].digest)


def test_helm_pulls_from_http_private_and_oci(
    running_box: tuple[Path, box.Ports], helm: Path, tmp_path: Path
) -> None:
    state, ports = running_box
    name, password = box.chart_credentials(state)
    http = box.endpoints(ports)["charts.internet.local"]
    for arguments in (
        ["pull", "echo", "--repo", f"{http}/stable", "--version", "0.3.0"],
        ["pull", "node-exporter", "--repo", f"{http}/private", "--username", name, "--password", password],
        [
            *("pull", f"oci://127.0.0.1:{ports.registry}/ghcr.io/example-charts/base-tools"),
            *("--version", "1.2.0+build.3", "--plain-http"),
        ],
    ):
        run_helm(helm, tmp_path, *arguments, "--destination", str(tmp_path))
    pulled = sorted(path.name for path in tmp_path.glob("*.tgz"))
    assert pulled == ["base-tools-1.2.0+build.3.tgz", "echo-0.3.0.tgz", "node-exporter-4.1.0.tgz"]


@pytest.mark.parametrize("file_name", ["default.yaml", "1.33.yaml"])
def test_local_data_files_name_what_the_box_has(content: box.Content, file_name: str) -> None:
    document = yaml.safe_load((DATA / file_name).read_text())
    for image in document["additional_images"].values():
        assert image in content.images.references
    http = yaml.safe_load((content.charts.http / "stable" / "index.yaml").read_text())["entries"]
    oci = {reference.rpartition(":")[2] for reference in content.charts.layout.references}
    offered = {entry[0]["version"] for entry in http.values()} | {tag.replace("_", "+") for tag in oci}
    for chart in document["charts"].values():
        assert chart.get("version", "0.3.0") in offered
