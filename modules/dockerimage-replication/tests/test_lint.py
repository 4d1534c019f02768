"""`lint`: everything that is wrong in all data files of a folder, in one pass."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication.aws import Aws
from dockerimage_replication.cli import main
from dockerimage_replication.problems import Sought
from dockerimage_replication.suggestions import MAX_NODES, nearest, text_paths
from replication_support import SECRET, ChartServer, chart_archive, chart_files, packed

IMAGE = {
    "registry": {"location": "values", "path": "image.registry"},
    "repository": {"location": "values", "path": "image.repository"},
    "tag": {"location": "values", "path": "image.tag"},
}
VALUES = {"image": {"registry": "quay.io", "repository": "team/app", "tag": "1"}}


class Folder:
    """A folder of data files, and what `lint` says of it."""

    def __init__(self, path: Path, server: ChartServer, run: Callable[..., int]) -> None:
        self.path = path
        self.server = server
        self.run = run
        self.default: dict[str, Any] = {"charts": {}}
        self.versions: dict[str, Any] = {"1.33": {}}

    def add(self, workload: str, images: Any, **more: Any) -> None:  # noqa: ANN401 - any data file
        """A workload with the chart of its name, version 1.0.0."""
        entry = {"name": workload, "repository": self.server.url, "version": "1.0.0", "images": images}
        self.default["charts"][workload] = {**entry, **more}

    def lint(self, *options: str) -> int:
        (self.path / "default.yaml").write_text(yaml.safe_dump(self.default))
        for version, content in self.versions.items():
            (self.path / f"{version}.yaml").write_text(yaml.safe_dump(content))
        return self.run("--data-path", str(self.path), *options)


@pytest.fixture
def folder(tmp_path: Path, chart_server: ChartServer, monkeypatch: pytest.MonkeyPatch) -> Folder:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["dockerimage_replication", "lint", *arguments])
        return main()

    (tmp_path / "data").mkdir()
    return Folder(tmp_path / "data", chart_server, run)


@pytest.fixture
def findings(folder: Folder, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    def found() -> list[dict[str, Any]]:
        status = folder.lint("--json")
        value: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        assert status == (1 if value else 0)
        return value

    return found


Findings = Callable[[], list[dict[str, Any]]]


def test_a_folder_without_findings_is_clean(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.server.add("app", "1.0.0", chart_archive("app", values=VALUES))
    folder.add("app", {"app": IMAGE})

    assert folder.lint() == 0
    assert "fit their charts" in capsys.readouterr().out
    assert folder.lint("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_every_stale_path_of_two_versions_comes_in_one_pass(folder: Folder, findings: Findings) -> None:
    moved = {"controller": {"image": {"registry": "quay.io", "repository": "team/app", "tag": "2"}}}
    folder.server.add("app", "1.0.0", chart_archive("app", values=VALUES))
    folder.server.add("app", "2.0.0", chart_archive("app", "2.0.0", values=moved))
    folder.server.add("other", "1.0.0", chart_archive("other", values={"img": {"name": "quay.io/x:1"}}))
    folder.add("app", {"app": IMAGE})
    folder.add("other", {"main": {"repository": {"location": "values", "path": "img.nam"}}})
    folder.versions = {"1.33": {}, "1.34": {"charts": {"app": {"version": "2.0.0"}}}}

    found = findings()

    assert [(item["eks_version"], item["workload"], item["path"], item["suggestion"]) for item in found] == [
        ("1.33", "other", "img.nam", "img.name"),
        ("1.34", "app", "image.registry", "controller.image.registry"),
        ("1.34", "app", "image.repository", "controller.image.repository"),
        ("1.34", "app", "image.tag", "controller.image.tag"),
        ("1.34", "other", "img.nam", "img.name"),
    ]
    assert found[0] == {
        "file": "default.yaml",
        "eks_version": "1.33",
        "workload": "other",
        "image": "main",
        "path": "img.nam",
        "message": "repository: chart other 1.0.0: `img.nam` does not exist",
        "suggestion": "img.name",
    }


def test_people_read_a_line_per_finding(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.server.add("app", "1.0.0", chart_archive("app", values={"img": "quay.io/x:1"}))
    folder.add("app", {"main": {"repository": {"location": "values", "path": "imgg"}}})
    folder.versions = {"1.33": {}, "1.34": {"chartz": {}}}
    assert folder.lint() == 1
    assert capsys.readouterr().out.splitlines() == [
        "1.34.yaml: chartz: this key is unknown",
        "default.yaml: app.main: repository: chart app 1.0.0: `imgg` does not exist "
        "(did you mean `img`?) [EKS 1.33]",
    ]

    folder.versions = {"1.33": {}, "1.34": {}}
    assert folder.lint() == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("[EKS 1.33, 1.34]")


def test_each_chart_version_is_fetched_once(folder: Folder) -> None:
    folder.server.add("app", "1.0.0", chart_archive("app", values=VALUES))
    folder.add("app", {"app": IMAGE})
    folder.versions = {"1.32": {}, "1.33": {}, "1.34": {}}

    assert folder.lint() == 0

    assert sorted(path for path, _ in folder.server.requests) == [
        "/charts/app-1.0.0.tgz",
        "/charts/app-1.0.0.tgz.prov",
        "/charts/index.yaml",
    ]


def test_unknown_keys_and_absent_charts_do_not_hide_other_findings(
    folder: Folder, findings: Findings
) -> None:
    folder.server.add("app", "1.0.0", chart_archive("app", values=VALUES))
    folder.add("app", {"app": {**IMAGE, "tag": {"location": "values", "path": "image.tagg"}}})
    folder.add("absent", {})
    folder.default["charts"]["half"] = {"name": "half", "repository": folder.server.url}
    folder.versions = {
        "1.32": {"charts": {"app": {"replication": {"app": {"tags": "1"}}}}},
        "1.33": {"charts": {"app": {"version": "7.0.0"}}},
        "1.34": {},
    }

    found = findings()

    assert {(item["file"], item["eks_version"], item["workload"]) for item in found} == {
        ("1.32.yaml", "1.32", "app"),
        ("1.33.yaml", "1.33", "half"),
        ("default.yaml", "1.33", "app"),
        ("default.yaml", "1.33", "absent"),
        ("1.34.yaml", "1.34", "half"),
        ("default.yaml", "1.34", "app"),
        ("default.yaml", "1.34", "absent"),
    }
    messages = [item["message"] for item in found]
    assert any("tags: this key is unknown" in message for message in messages)
    assert any("does not have this version" in message for message in messages)
    assert any("has no chart of this name" in message for message in messages)
    assert any("`version` is neither in" in message for message in messages)


def test_a_broken_default_file_is_reported_once_and_the_others_all_the_same(
    folder: Folder, findings: Findings
) -> None:
    folder.default = {"chart": {}}
    folder.versions = {"1.33": {"amii": {}}, "1.34": {}}

    assert [(item["file"], item["eks_version"], item["message"]) for item in findings()] == [
        ("default.yaml", None, "chart: this key is unknown"),
        ("1.33.yaml", "1.33", "amii: this key is unknown"),
    ]


def test_lists_mappings_and_images_without_a_tag(folder: Folder, findings: Findings) -> None:
    values = {"sidecars": [{"image": "quay.io/a:1"}], "image": {"name": "quay.io/team/app"}, "tag": ""}
    folder.server.add("app", "1.0.0", chart_archive("app", values=values))
    folder.add(
        "app",
        {
            "list": {"repository": {"location": "values", "path": "sidecars.image"}},
            "mapping": {"repository": {"location": "values", "path": "image"}},
            "untagged": {"repository": {"location": "values", "path": "image.name"}},
            "empty": {"repository": {"location": "values", "path": "tag"}},
        },
    )
    folder.default["additional_images"] = {"old": "quay.io/old", "new": "quay.io/new@sha256:" + "a" * 64}
    folder.versions["1.33"] = {"additional_images": {"extra": "quay.io/extra"}}

    found = {item["image"]: item for item in findings()}

    assert sorted(found) == ["empty", "extra", "list", "mapping", "old", "untagged"]
    assert "leads through the list" in found["list"]["message"]
    assert "is a mapping" in found["mapping"]["message"]
    assert found["untagged"]["message"] == "`quay.io/team/app` has no tag, so `latest` would be copied"
    assert found["empty"]["suggestion"] is None
    assert (found["old"]["file"], found["extra"]["file"]) == ("default.yaml", "1.33.yaml")


def test_a_path_in_a_subchart_is_suggested_as_the_data_file_writes_it(
    folder: Folder, findings: Findings
) -> None:
    subcharts = {"cache": {"image": {"repository": "quay.io/cache:1"}}}
    folder.server.add("app", "1.0.0", chart_archive("app", subcharts=subcharts))
    entry = {"location": "values", "path": "image.repo", "subchart": "cache"}
    folder.add("app", {"cache": {"repository": entry}})

    (found,) = findings()

    assert (found["path"], found["suggestion"]) == ("image.repo", "image.repository")


BROKEN = {
    "no archive": b"<html>not found</html>",
    "cut off": chart_archive("app", values=VALUES)[:60],
    "leads out": packed({"app/../../Chart.yaml": b"name: app"}),
    "not YAML": packed({**chart_files("app"), "app/values.yaml": b"a: [1"}),
    "values are a list": packed({**chart_files("app"), "app/values.yaml": b"- a"}),
    "endless values": packed({**chart_files("app"), "app/values.yaml": b"a: &a {image: {b: *a}, c: *a}"}),
    "endless number": packed(
        {**chart_files("app"), "app/values.yaml": b"image: {repository: 0x" + b"f" * 9000 + b"}"}
    ),
    "odd keys": packed({**chart_files("app"), "app/values.yaml": b"1: x\nnull: y\n? [a]\n: z\n"}),
    "deep values": packed({**chart_files("app"), "app/values.yaml": b"{a: " * 5000}),
}


@pytest.mark.parametrize("archive", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_chart_is_a_finding(archive: bytes, folder: Folder, findings: Findings) -> None:
    folder.server.add("app", "1.0.0", archive)
    folder.add("app", {"app": IMAGE})

    found = findings()

    assert found
    assert {item["workload"] for item in found} == {"app"}


def test_a_file_whose_name_is_no_version_is_a_finding(folder: Folder, findings: Findings) -> None:
    folder.versions["1.3"] = {}

    (found,) = findings()

    assert (found["file"], found["message"]) == (
        "1.3.yaml",
        "`1.3` is no EKS version, so no deployment reads this file",
    )


def test_the_secret_opens_private_repositories_when_it_is_named(
    aws: Aws, folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.server.password = SECRET
    folder.server.add("app", "1.0.0", chart_archive("app", values=VALUES))
    folder.add("app", {"app": IMAGE})
    assert folder.lint() == 1

    login = json.dumps({"username": "robot", "password": SECRET})
    aws.secrets.create_secret(Name="helm", SecretString=login)
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")
    assert folder.lint() == 0
    assert SECRET not in "".join(capsys.readouterr())


def test_wrong_usage_ends_in_status_2(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.run("--data-path", str(folder.path / "nowhere")) == 2
    assert "--data-path" in capsys.readouterr().err

    with pytest.raises(SystemExit) as error:
        folder.run("--eks-version", "1.33")
    assert error.value.code == 2


def test_a_path_with_the_same_last_key_is_nearer_than_one_that_looks_alike() -> None:
    tree = {
        "image": {"pullPolicy": "Always"},
        "admission": {"container": {"image": {"repository": "quay.io/x"}}},
    }

    assert nearest(Sought("image.repository", tree)) == "admission.container.image.repository"
    assert nearest(Sought("image.pullPolice", tree)) == "image.pullPolicy"
    assert nearest(Sought("zzz", tree)) is None


def test_the_paths_of_an_endless_tree_come_to_an_end() -> None:
    tree: dict[str, object] = {"text": "x", "list": [1], "with.dot": "x"}
    for number in range(50):
        tree[f"again{number}"] = tree

    paths = list(text_paths(tree))

    assert paths[0] == "text"
    assert len(paths) <= MAX_NODES
    assert not any("list" in path or "with.dot" in path for path in paths)
