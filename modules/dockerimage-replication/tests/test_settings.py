"""Parameters: every problem in one message, before anything is touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dockerimage_replication.settings import Parameters
from dockerimage_replication.shared.errors import ParameterError
from dockerimage_replication.shared.settings import load

MODULE = Path(__file__).parents[1]


def run(command: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(MODULE), **variables}
    return subprocess.run(
        [sys.executable, "-m", "dockerimage_replication", command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["apply", "destroy"])
def test_all_problems_come_in_one_message_with_status_2(command: str, tmp_path: Path) -> None:
    done = run(
        command,
        tmp_path,
        SEEDFARMER_PROJECT_NAME="idf",
        SEEDFARMER_PARAMETER_EKS_VERSION="1.3",
        SEEDFARMER_PARAMETER_RETENTION_TYPE="KEEP",
        SEEDFARMER_PARAMETER_HELM_REPO_SECRET_KEY="team",
        SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS="{",
    )

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("eks-version", "retention-type", "helm-repo-secret-key", "registry-endpoints"):
        assert f"manifest parameter `{name}`" in done.stderr
    assert "SEEDFARMER_DEPLOYMENT_NAME" in done.stderr
    assert 'write "1.30"' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_data_file_ends_with_status_1_and_no_traceback(tmp_path: Path) -> None:
    done = run(
        "apply",
        tmp_path,
        SEEDFARMER_PROJECT_NAME="idf",
        SEEDFARMER_DEPLOYMENT_NAME="dev",
        SEEDFARMER_MODULE_NAME="replication-images",
        SEEDFARMER_PARAMETER_EKS_VERSION="1.33",
    )

    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: the data file data/eks_dockerimage-replication/versions/default.yaml"
    )
    assert "Traceback" not in done.stderr


def test_the_names_of_the_document_reach_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROJECT_NAME", "DEPLOYMENT_NAME", "MODULE_NAME"):
        monkeypatch.setenv(f"SEEDFARMER_{name}", "x")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", "1.33")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "secret")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_KEY", "team")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", "https://example.com/helm.tar.gz")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_NAME", "distro")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_KEY", "entry")

    _, parameters = load(Parameters)

    assert (parameters.helm_repo_secret_name, parameters.helm_repo_secret_key) == ("secret", "team")
    assert parameters.helm_distro_url == "https://example.com/helm.tar.gz"
    assert (parameters.helm_distro_secret_name, parameters.helm_distro_secret_key) == ("distro", "entry")


@pytest.mark.parametrize(
    "url",
    [
        "helm.tar.gz",
        "ftp://example.com/x",
        "https://",
        "https://u:p@example.com/x",
        "https://example.com/x?sig=1",
    ],
)
def test_the_helm_archive_is_a_plain_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_URL", url)

    with pytest.raises(ParameterError, match=r"`helm-distro-url`.*must be an http\(s\) URL") as error:
        load(Parameters)
    assert "u:p@" not in str(error.value)


def test_what_belongs_to_the_helm_archive_needs_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SECRET_NAME", "distro")
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_DISTRO_SHA256", "a" * 64)

    with pytest.raises(ParameterError) as error:
        load(Parameters)

    for name in ("helm-distro-secret-name", "helm-distro-sha256"):
        assert f"manifest parameter `{name}`" in str(error.value)
    assert str(error.value).count("is set, but `helm-distro-url` is not") == 2


@pytest.mark.parametrize("value", ["1.3", "1", "latest", "1.33.1", "v1.33"])
def test_an_eks_version_has_two_numbers(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", value)

    with pytest.raises(ParameterError, match="`eks-version`"):
        load(Parameters)


@pytest.mark.parametrize("command", ["apply", "destroy"])
def test_help_is_there_without_any_parameter(command: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(MODULE)}
    done = subprocess.run(
        [sys.executable, "-m", "dockerimage_replication", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert command in done.stdout
