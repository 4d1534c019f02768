"""The Job of an attempt: the administrator's, with what the service decides."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from image_builder.cluster.api import instance_of
from image_builder.cluster.template import job_name, job_of, read_template
from image_builder.shared.errors import ParameterError

JOB_ID = uuid.UUID("00000000-0000-4000-8000-000000000007")
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "builds", "uid": "1"}
TEMPLATE = """
apiVersion: batch/v1
kind: Job
metadata:
  labels: {app.kubernetes.io/instance: team, kueue.x-k8s.io/queue-name: builds}
spec:
  ttlSecondsAfterFinished: 600
  template:
    spec:
      serviceAccountName: builds
      nodeSelector: {pool: builds}
      tolerations: [{key: builds, operator: Exists}]
      containers:
        - name: build
          image: registry.example.com/image-builder:1
          resources: {limits: {memory: 1Gi}}
"""


@pytest.fixture
def template(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "job.yaml"
    path.write_text(TEMPLATE)
    return read_template(path)


def test_a_job_is_what_the_template_says_and_what_an_attempt_needs(template: dict[str, Any]) -> None:
    job = job_of(template, JOB_ID, 2, timedelta(minutes=41), [])

    ours = {
        "app.kubernetes.io/managed-by": "image-builder",
        "image-builder/job": str(JOB_ID),
        "image-builder/attempt": "2",
        "app.kubernetes.io/instance": "team",
    }
    assert job["metadata"] == {
        "name": f"build-{JOB_ID}-2",
        "labels": {**ours, "kueue.x-k8s.io/queue-name": "builds"},
    }
    assert job["spec"]["activeDeadlineSeconds"] == 41 * 60
    assert (job["spec"]["backoffLimit"], job["spec"]["ttlSecondsAfterFinished"]) == (0, 600)
    pod = job["spec"]["template"]
    assert pod["metadata"]["labels"] == ours
    assert (pod["spec"]["restartPolicy"], pod["spec"]["serviceAccountName"]) == ("Never", "builds")
    assert (pod["spec"]["nodeSelector"], pod["spec"]["tolerations"][0]["key"]) == (
        {"pool": "builds"},
        "builds",
    )
    assert pod["spec"]["containers"][0]["args"] == ["job", "run", str(JOB_ID)]


def test_a_job_belongs_to_its_owner(template: dict[str, Any]) -> None:
    owned = job_of(template, JOB_ID, 1, timedelta(hours=1), [OWNER])

    assert owned["metadata"]["ownerReferences"] == [OWNER]


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_it_is_valid(template: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(
        job_of(template, JOB_ID, 1, timedelta(hours=1), [OWNER]), version, strict=True
    )


def test_the_template_itself_stays_as_it_is(template: dict[str, Any]) -> None:
    job_of(template, JOB_ID, 1, timedelta(hours=1), [OWNER])

    assert template == yaml.safe_load(TEMPLATE)


def test_the_same_attempt_has_the_same_name_and_it_fits() -> None:
    assert job_name(JOB_ID, 1) == job_name(JOB_ID, 1) != job_name(JOB_ID, 2)
    assert len(job_name(JOB_ID, 100)) <= 63


def test_jobs_of_several_services_are_told_apart(template: dict[str, Any]) -> None:
    assert instance_of(template) == "team"
    assert instance_of({"metadata": None}) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold one Job of batch/v1"),
        ("apiVersion: v1\nkind: Pod\n", "must hold one Job of batch/v1"),
        ("apiVersion: batch/v1\nkind: Job\n", "has no container"),
        ("a: b: c", "cannot be read"),
    ],
)
def test_what_is_no_template_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)

    with pytest.raises(ParameterError, match=message) as refused:
        read_template(path)

    assert "DCRX_KV_CLUSTER_JOB_TEMPLATE" in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"missing\.yaml cannot be read"):
        read_template(tmp_path / "missing.yaml")
