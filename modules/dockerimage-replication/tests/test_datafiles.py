"""The data files: what they may say, and how the version file is laid over the default file."""

from pathlib import Path

import pytest
from dockerimage_replication import datafiles
from dockerimage_replication.datafiles import DataFiles
from dockerimage_replication.shared.errors import UserError

DEFAULT = """
charts:
  app:
    name: app
    repository: https://charts.example.com
    version: 1.0.0
    images:
      app:
        repository: {location: values, path: image.repository}
        tag: {location: chart, path: appVersion, prefix: v}
additional_images:
  agent: quay.io/team/agent:1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(version: str, default: str = DEFAULT) -> DataFiles:
    Path("default.yaml").write_text(default)
    Path("1.33.yaml").write_text(version)
    return datafiles.load(Path(), "1.33")


def problem(version: str, default: str = DEFAULT) -> str:
    with pytest.raises(UserError) as error:
        load(version, default)
    return str(error.value)


def test_what_the_version_file_says_wins() -> None:
    data = load(
        """
        ami: {version: 1.33.0-20250715}
        charts:
          app: {version: 2.0.0, repository: oci://ghcr.io/team/charts, name: other}
        additional_images: {agent: "quay.io/team/agent:2", tool: "busybox"}
        """
    )

    (app,) = data.workloads
    assert (app.chart, app.repository, app.version) == ("other", "oci://ghcr.io/team/charts", "2.0.0")
    assert [image.key for image in app.images] == ["app"]
    assert data.additional_images == {"agent": "quay.io/team/agent:2", "tool": "busybox"}
    assert data.ami_version == "1.33.0-20250715"


def test_an_empty_version_section_leaves_the_default_as_it_is() -> None:
    data = load("charts:\nadditional_images:\n")

    assert [workload.version for workload in data.workloads] == ["1.0.0"]
    assert data.additional_images == {"agent": "quay.io/team/agent:1"}


def test_a_workload_may_stand_in_the_version_file_alone() -> None:
    data = load(
        """
        charts:
          extra:
            name: extra
            repository: https://charts.example.com
            version: 0.1.0
            images: {extra: {repository: {location: values, path: image}}}
        """
    )

    assert [workload.key for workload in data.workloads] == ["app", "extra"]
    assert data.workloads[1].images[0].file == "1.33.yaml"


def test_a_skipped_workload_is_left_out() -> None:
    assert load("charts: {app: {skip: true}}").workloads == ()


def test_replication_overrides_and_values_reach_the_workload() -> None:
    data = load(
        """
        charts:
          app:
            replication: {app: {tag: v1.33.0}}
            values: {resources: {limits: {memory: 1Gi}}}
        """,
        DEFAULT.replace("version: 1.0.0", "version: 1.0.0\n    values: {resources: {limits: {cpu: 1}}}"),
    )

    (app,) = data.workloads
    assert app.images[0].override.tag == "v1.33.0"
    assert app.values == {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}


def test_reading_twice_gives_the_same() -> None:
    assert load("charts: {app: {version: 2.0.0}}") != load("{}")
    assert load("{}") == load("{}")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("charts: {app: {verison: 1.0.1}}", "charts.app.verison: this key is unknown"),
        ("charts: {app: {version: 1.10}}", "charts.app.version: YAML reads this as 1.1; put it in quotes"),
        ("charts: {app: {replication: {app: {tga: v1}}}}", "charts.app.replication.app.tga"),
        ("charts: {app: {replication: {sidecar: {tag: v1}}}}", "the workload has no image `sidecar`"),
        ("charts: {new: {version: 1.0.0}}", "charts.new: `name` is neither in default.yaml nor in 1.33.yaml"),
        ("charts: {app: {values: {tolerations: [a]}}}", "holds the list `tolerations`"),
        ("charts: {app: {repository: charts.example.com}}", "must be the URL of a chart repository"),
        ("charts: {app: {repository: 'https://u:p@example.com'}}", "must not hold credentials"),
        ("additional_images: {bad: 'quay.io/UPPER:1'}", "additional_images.bad: 'quay.io/UPPER:1' is not"),
        ("docker_mappings: {quay.io: 'https://proxy.example'}", "docker_mappings.quay.io"),
        ("docker_mappings: {quayio: proxy.example}", "'quayio' is neither `default` nor a registry's host"),
        ("docker_mappings: {index.docker.io: proxy.example}", "'index.docker.io' is neither"),
        ("charts: {app: {repository: 'https://example.com:99999/x'}}", "must be the URL of a chart"),
        ("charts: {app: {repository: 'oci://UPPER CASE/x'}}", "must be the URL of a chart"),
        ("- a\n- b", "must be a mapping"),
        ("", "must be a mapping"),
        ("charts:\n  app:\n   - :\n  x", "is not valid YAML: line 3, column 6"),
        ("charts: {}\ncharts: {}", "line 2, column 1: the key 'charts' stands here a second time"),
        ("charts: !!python/object/apply:os.getcwd []", "is not valid YAML: line 1"),
    ],
)
def test_a_flaw_is_named_with_its_file_and_place(version: str, said: str) -> None:
    message = problem(version)

    assert said in message
    assert "1.33.yaml" in message


def test_the_kinds_of_repository_do_not_show_in_the_place_of_a_flaw() -> None:
    message = problem("{}", DEFAULT.replace("path: image.repository", "pth: image.repository"))

    assert "default.yaml is not valid" in message
    assert "charts.app.images.app.repository.path: this key is required" in message
    assert "charts.app.images.app.repository.pth: this key is unknown" in message


def test_all_flaws_of_a_file_are_reported_at_once() -> None:
    message = problem("charts: {app: {a: 1, b: 2}}\ndocker_mappings: {quay.io: ''}")

    assert message.count("\n  - ") == 3


def test_a_missing_default_file_names_itself_and_the_manifest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"default\.yaml does not exist: add it to the module's `dataFiles`"):
        datafiles.load(folder, "1.33")


def test_an_unknown_eks_version_lists_those_that_are_there(folder: Path) -> None:
    for name in ("default.yaml", "1.32.yaml", "1.33.yaml"):
        (folder / name).write_text("{}")

    with pytest.raises(UserError, match=r"there are 1\.32, 1\.33.*`eks-version`"):
        datafiles.load(folder, "1.34")
