"""What is read from the API server's objects."""

import uuid
from typing import Any

import pytest
from image_builder.cluster.observed import ClusterJob, cluster_job, pod_reasons

JOB_ID = uuid.UUID(int=7)
LABELS = {"image-builder/job": str(JOB_ID), "image-builder/attempt": "2"}


def job(status: dict[str, Any], **metadata: object) -> dict[str, Any]:
    return {"metadata": {"name": "build-7-2", "labels": LABELS, **metadata}, "status": status}


def test_a_running_job() -> None:
    assert cluster_job(job({"startTime": "1970-01-01T00:00:05Z", "active": 1})) == ClusterJob(
        "build-7-2", JOB_ID, 2, started_at=5000, ended=False, reason=""
    )


def test_a_job_that_nothing_has_begun_with_has_no_time() -> None:
    found = cluster_job(job({}))

    assert found is not None
    assert found.started_at is None


def test_a_failed_job_says_why() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}

    found = cluster_job(job({"conditions": [failed]}))

    assert found is not None
    assert (found.ended, found.reason) == (True, "DeadlineExceeded: too long")


@pytest.mark.parametrize(
    "metadata", [{"deletionTimestamp": "1970-01-01T00:00:05Z"}, {"labels": {}}, {"labels": None}]
)
def test_a_job_that_goes_or_is_not_ours_is_left_out(metadata: dict[str, Any]) -> None:
    assert cluster_job(job({}, **metadata)) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]},
            "OOMKilled (exit status 137)",
        ),
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no x"}}}
                ]
            },
            "ImagePullBackOff: no x",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node is full"},
            "Evicted: The node is full",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}
                ]
            },
            "Unschedulable: 0/1",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, None),
        ({"containerStatuses": [{"state": {"running": {}}}]}, None),
        ({}, None),
    ],
)
def test_a_pod_says_what_is_wrong(status: dict[str, Any], reason: str | None) -> None:
    pod = {"metadata": {"labels": {"job-name": "build-7-2"}}, "status": status}

    assert pod_reasons([pod]).get("build-7-2") == reason


def test_the_newest_pod_counts() -> None:
    def pod(second: int, reason: str) -> dict[str, Any]:
        metadata = {"labels": {"job-name": "j"}, "creationTimestamp": f"1970-01-01T00:00:0{second}Z"}
        return {"metadata": metadata, "status": {"reason": reason}}

    assert pod_reasons([pod(2, "new"), pod(1, "old")]) == {"j": "new"}
