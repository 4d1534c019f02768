"""`chart-facts`: what it notes of a chart's archive and of an unpacked folder."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from collection.modules import REPOSITORY

DIGEST = f"sha256:{'0' * 64}"
FILES = {
    "app/Chart.yaml": """
apiVersion: v2
name: app
version: 0.0.0
kubeVersion: ">=1.25.0-0"
description: not a fact that anybody needs
dependencies:
- {name: store, version: 1.x.x, alias: cache, repository: "https://example.com", tags: [a]}
- {name: crds, version: 2.0.0, condition: crds.install}
""",
    "app/values.yaml": """
image: {registry: quay.io, repository: team/app, tag: "", pullPolicy: Always, pullSecrets: [a]}
operator: {image: team/operator, version: v1.2.3, replicas: 2}
defaults: {imageRegistry: quay.io, name: no part of an image's name}
resources: {limits: {cpu: 1}}
""",
    "app/charts/store/Chart.yaml": "{apiVersion: v2, name: store, version: 1.4.0, appVersion: '7'}",
    "app/charts/store/values.yaml": "image: {name: store}\nport: 80",
    "app/templates/x.yaml": "not: {{ read }}",
}
RENDERED = f"""
kind: Pod
spec:
  containers: [{{image: "team/app:1"}}, {{image: "quay.io/team/app:2@{DIGEST}"}}]
  args: [--sidecar=ghcr.io/team/sidecar:v3, "--listen=0.0.0.0:8080", example.com/path/without-tag]
---
kind: Thing
metadata: {{annotations: {{uses: "registry.k8s.io/tool:v4"}}}}
data: {{notes: "of two lines\\nquay.io/team/mentioned:1"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The chart, unpacked."""
    for name, text in FILES.items():
        path = tmp_path / "charts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "charts" / "app"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The chart, packed."""
    path = tmp_path / "app.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def chart_facts(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the program as its entry in `scripts/` does."""
    paths = (REPOSITORY / "scripts", REPOSITORY / "modules/dockerimage-replication")
    return subprocess.run(
        [sys.executable, "-m", "chartfacts", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


def facts(*arguments: object) -> dict[str, Any]:
    done = chart_facts(*arguments)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = yaml.safe_load(done.stdout)
    return value


def test_folder_and_archive_have_the_same_facts(folder: Path, archive: Path) -> None:
    expected = {
        "source": {},
        "chart": {
            "name": "app",
            "version": "0.0.0",
            "kubeVersion": ">=1.25.0-0",
            "dependencies": [
                {
                    "name": "store",
                    "version": "1.x.x",
                    "alias": "cache",
                    "repository": "https://example.com",
                },
                {"name": "crds", "version": "2.0.0", "condition": "crds.install"},
            ],
        },
        "subcharts": {"cache": {"name": "store", "version": "1.4.0", "appVersion": "7"}},
        "absent": ["crds"],
        "values": {
            "cache": {"image": {"name": "store"}},
            "image": {"registry": "quay.io", "repository": "team/app", "tag": ""},
            "operator": {"image": "team/operator", "version": "v1.2.3"},
            "defaults": {"imageRegistry": "quay.io", "name": "no part of an image's name"},
        },
    }

    assert facts(folder) == expected
    assert facts(archive) == expected


def test_a_version_that_a_release_fills_in_and_the_source_can_be_given(folder: Path) -> None:
    found = facts(
        folder,
        *("--version", "v1.0.0", "--app-version", "v1.0.0"),
        *("--repository", "https://example.com/app", "--tag", "v1.0.0", "--commit", "0123", "--path", "app"),
    )

    assert (found["chart"]["version"], found["chart"]["appVersion"]) == ("v1.0.0", "v1.0.0")
    assert found["source"] == {
        "repository": "https://example.com/app",
        "tag": "v1.0.0",
        "commit": "0123",
        "path": "app",
    }


def test_images_are_read_from_what_helm_rendered(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rendered.yaml").write_text(RENDERED)

    found = facts(folder, "--rendered", tmp_path / "rendered.yaml", "--rendered-with", "a.enabled=true")

    assert found["rendered_with"] == ["a.enabled=true"]
    assert found["images"] == [
        "ghcr.io/team/sidecar:v3",
        f"quay.io/team/app:2@{DIGEST}",
        "registry.k8s.io/tool:v4",
        "team/app:1",
    ]


def test_what_was_written_by_hand_stays(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "app.yaml"
    output.write_text("left_out: {a: tested elsewhere}\nalso: {images: [b]}\nimages: [gone]")

    assert chart_facts(folder, "--output", output).returncode == 0

    found = yaml.safe_load(output.read_text())
    assert (found["left_out"], found["also"]) == ({"a": "tested elsewhere"}, {"images": ["b"]})
    assert "images" not in found


@pytest.mark.parametrize("content", ["a: b: c", "- a"])
def test_a_file_that_holds_no_facts_is_not_overwritten(folder: Path, tmp_path: Path, content: str) -> None:
    output = tmp_path / "mine.yaml"
    output.write_text(content)

    done = chart_facts(folder, "--output", output)

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {output} ")
    assert output.read_text() == content


@pytest.mark.parametrize("name", ["absent", "no-chart"])
def test_what_is_no_chart_gets_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "no-chart").write_text("not an archive")

    done = chart_facts(tmp_path / name)

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / name} is not a chart's archive or folder")
    assert done.stderr.count("\n") == 1
