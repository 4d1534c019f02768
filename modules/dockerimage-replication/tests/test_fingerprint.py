"""The fingerprint of a run's inputs: what changes it, and what does not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication import datafiles
from dockerimage_replication.fingerprint import fingerprint
from dockerimage_replication.resolve import Target
from dockerimage_replication.settings import Parameters
from replication_support import DEFAULT

TARGET = Target("private.local", "idf")


@pytest.fixture
def of(tmp_path: Path) -> Any:  # noqa: ANN401 - a function with keywords
    def call(
        default: dict[str, Any] = DEFAULT,
        version: dict[str, Any] | None = None,
        target: Target = TARGET,
        **parameters: Any,  # noqa: ANN401
    ) -> str:
        (tmp_path / "default.yaml").write_text(yaml.safe_dump(default))
        (tmp_path / "1.33.yaml").write_text(yaml.safe_dump(version or {}))
        data = datafiles.load(tmp_path, "1.33")
        return fingerprint(data, Parameters(**{"eks_version": "1.33", **parameters}), target)

    return call


def test_the_same_inputs_have_the_same_fingerprint(of: Any) -> None:  # noqa: ANN401
    assert of() == of()


def test_each_input_changes_it(of: Any) -> None:  # noqa: ANN401
    fingerprints = [
        of(),
        of(default={**DEFAULT, "additional_images": {"agent": "internet.local/team/agent:2"}}),
        of(version={"docker_mappings": {"internet.local": "proxy.local"}}),
        of(version={"charts": {"app": {"values": {"replicas": 2}}}}),
        of(version={"ami": {"version": "1"}}),
        of(target=Target("private.local", "other")),
        of(target=Target("other.local", "idf")),
        of(eks_version="1.34"),
        of(helm_distro_url="https://example.com/helm.tar.gz"),
        of(registry_endpoints='{"quay.io": "https://mirror.example.com"}'),
    ]

    assert len(set(fingerprints)) == len(fingerprints)


def test_another_release_of_the_program_changes_it(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    before = of()
    read = Path.read_bytes

    def edited(path: Path) -> bytes:
        return read(path) + (b"#" if path.name == "resolve.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", edited)

    assert of() != before


def test_secrets_and_what_a_result_does_not_depend_on_do_not(of: Any) -> None:  # noqa: ANN401
    parameters = {"helm_repo_secret_name": "helm", "retention_type": "DESTROY", "refresh_tags": True}
    parameters |= {"data_path": Path("elsewhere")}

    assert of(**parameters) == of()


def test_values_that_json_does_not_know_are_fine(of: Any) -> None:  # noqa: ANN401
    values = {"a": b"\xff", "b": float("inf"), "c": {1: "x"}}

    assert of(version={"charts": {"app": {"values": values}}}) != of()
