"""What becomes of a Job, by what the cluster and the database say of it."""

import uuid
from dataclasses import replace

import pytest
from image_builder.cluster.decide import LOST_AFTER, Broken, Decisions, Row, decide, needs_reasons
from image_builder.cluster.observed import ClusterJob
from image_builder.jobs.job import Status

NOW = 1_000_000_000
START_TIMEOUT = 600_000
JOB_ID = uuid.UUID(int=7)
RUNNING = ClusterJob("build-7-1", JOB_ID, 1, started_at=NOW - 1000, ended=False, reason="")
FAILED = replace(RUNNING, ended=True, reason="BackoffLimitExceeded")
WAITING = Row(JOB_ID, Status.CREATED, attempt=0, held=False, lease_until=None, cancel_requested=False)
HELD = Row(JOB_ID, Status.BUILDING, attempt=1, held=True, lease_until=NOW + 5, cancel_requested=False)
EXPIRED = replace(HELD, held=False, lease_until=NOW - 1)


def decided(job: ClusterJob, row: Row | None, reason: str = "") -> Decisions:
    rows = {row.job_id: row} if row else {}
    return decide([job], rows, {job.name: reason} if reason else {}, NOW, START_TIMEOUT)


@pytest.mark.parametrize("row", [WAITING, HELD, EXPIRED], ids=["not begun", "building", "lease just over"])
def test_a_job_that_goes_on_is_left_alone(row: Row) -> None:
    assert decided(RUNNING, row) == Decisions(live=1)


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED])
@pytest.mark.parametrize("job", [RUNNING, FAILED], ids=["running", "failed"])
def test_the_job_of_an_ended_job_goes_and_its_pod_with_it(job: ClusterJob, status: Status) -> None:
    row = replace(HELD, status=status, held=False, lease_until=None)

    assert decided(job, row) == Decisions(delete=[job.name], ended=[JOB_ID])


def test_a_job_without_a_record_goes() -> None:
    assert decided(RUNNING, None) == Decisions(delete=["build-7-1"])


def test_a_failed_pod_used_up_its_attempt_and_the_pod_says_why() -> None:
    assert decided(FAILED, EXPIRED, reason="OOMKilled (exit status 137)") == Decisions(
        broken=[Broken(JOB_ID, 1, "OOMKilled (exit status 137)")], delete=["build-7-1"]
    )


def test_without_a_pod_the_job_says_why() -> None:
    assert decided(FAILED, EXPIRED).broken == [Broken(JOB_ID, 1, "BackoffLimitExceeded")]


def test_an_attempt_that_never_began_is_used_up_all_the_same() -> None:
    assert decided(FAILED, WAITING, reason="ImagePullBackOff").broken == [
        Broken(JOB_ID, 1, "ImagePullBackOff")
    ]


def test_a_pod_that_the_cluster_replaced_by_itself_counts() -> None:
    """The Job was made for the first attempt; two pods began."""
    assert decided(FAILED, replace(EXPIRED, attempt=2)).broken[0].attempt == 2


def test_a_failed_pod_is_not_replaced_while_its_lease_is_valid() -> None:
    """Its node may be cut off from the API server alone."""
    assert decided(FAILED, HELD) == Decisions(live=0)


@pytest.mark.parametrize(
    ("started_at", "late"),
    [(NOW - START_TIMEOUT - 1, True), (NOW - START_TIMEOUT + 1, False), (None, False)],
    ids=["late", "in time", "held back by the cluster"],
)
def test_a_pod_has_to_begin_in_time(started_at: int | None, late: bool) -> None:
    decisions = decided(replace(RUNNING, started_at=started_at), WAITING, reason="Unschedulable: no node")

    assert decisions.broken == ([Broken(JOB_ID, 1, "Unschedulable: no node")] if late else [])
    assert decisions.live == (0 if late else 1)


def test_a_pod_that_is_silent_for_long_is_lost() -> None:
    silent = replace(EXPIRED, lease_until=NOW - LOST_AFTER - 1)

    assert decided(RUNNING, silent).broken == [Broken(JOB_ID, 1, "its pod did not build in time")]


def test_the_lease_of_an_earlier_attempt_says_nothing_of_this_one() -> None:
    silent = replace(EXPIRED, lease_until=NOW - LOST_AFTER - 1)

    assert decided(replace(RUNNING, attempt=2), silent) == Decisions(live=1)


def test_a_cancelled_job_is_left_to_its_pod_and_ended_here_without_one() -> None:
    assert decided(RUNNING, replace(HELD, cancel_requested=True)) == Decisions(live=1)
    assert decided(RUNNING, replace(EXPIRED, cancel_requested=True)) == Decisions(
        cancelled=[JOB_ID], delete=["build-7-1"]
    )


@pytest.mark.parametrize(("row", "needed"), [(WAITING, True), (HELD, False), (EXPIRED, True)])
def test_pods_are_asked_for_only_when_something_may_be_wrong(row: Row, needed: bool) -> None:
    assert needs_reasons([RUNNING], {JOB_ID: row}) is needed
