"""What has to happen to jobs and Jobs: decided from what both sides say, without asking anybody."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..jobs.job import Status
from .observed import ClusterJob

# A worker that is gone for longer than its lease and this is not waited for: its node may be lost.
LOST_AFTER = 30_000  # milliseconds


@dataclass(frozen=True)
class Row:
    """A job as the database has it; times are milliseconds since 1970.

    Attributes:
        attempt: attempts that have begun.
        held: a pod has it, and its lease is valid.
        lease_until: when its last lease ends or ended; None when it was given back or never taken.
    """

    job_id: uuid.UUID
    status: Status
    attempt: int
    held: bool
    lease_until: int | None
    cancel_requested: bool


@dataclass(frozen=True)
class Broken:
    """An attempt that has ended without an end of its job.

    Attributes:
        attempt: its number.
        reason: why, in the cluster's words.
    """

    job_id: uuid.UUID
    attempt: int
    reason: str


@dataclass
class Decisions:
    """What to do, in this order.

    Attributes:
        broken: attempts to write down as used up.
        cancelled: jobs that nobody works at and whose end was asked for.
        delete: names of Jobs.
        ended: jobs that have ended, and whose Job goes now.
        live: Jobs that are left and go on.
    """

    broken: list[Broken] = field(default_factory=list)
    cancelled: list[uuid.UUID] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    ended: list[uuid.UUID] = field(default_factory=list)
    live: int = 0


def decide(
    found: Sequence[ClusterJob],
    rows: Mapping[uuid.UUID, Row],
    reasons: Mapping[str, str],
    now: int,
    start_timeout: int,
) -> Decisions:
    """What has to happen to the Jobs that are there.

    Args:
        found: the Jobs; listed before the rows were read, so that a row is never older than its Job.
        rows: the jobs of these Jobs.
        reasons: Job name -> what is wrong with its pod.
        now: the database's time, milliseconds since 1970.
        start_timeout: milliseconds in which a pod has to begin.
    """
    decisions = Decisions()
    for job in found:
        row = rows.get(job.job_id)
        if row is None or row.status.is_final:
            decisions.delete.append(job.name)
            if row is not None:
                decisions.ended.append(row.job_id)
        elif row.held:
            decisions.live += not job.ended
        elif row.cancel_requested:
            decisions.cancelled.append(row.job_id)
            decisions.delete.append(job.name)
        elif job.ended or _is_late(job, row, now, start_timeout) or _is_lost(job, row, now):
            reason = reasons.get(job.name) or job.reason or "its pod did not build in time"
            decisions.broken.append(Broken(row.job_id, max(job.attempt, row.attempt), reason))
            decisions.delete.append(job.name)
        else:
            decisions.live += 1
    return decisions


def needs_reasons(found: Iterable[ClusterJob], rows: Mapping[uuid.UUID, Row]) -> bool:
    """Whether some Job has ended, or waits, without a worker: then its pod says why."""
    return any((row := rows.get(job.job_id)) and not row.status.is_final and not row.held for job in found)


def _is_late(job: ClusterJob, row: Row, now: int, start_timeout: int) -> bool:
    """Its pod has not begun: no image, no node, no start."""
    if row.attempt >= job.attempt or job.started_at is None:
        return False
    return now - job.started_at > start_timeout


def _is_lost(job: ClusterJob, row: Row, now: int) -> bool:
    """It had begun, and nobody has heard of it for long."""
    if row.attempt < job.attempt or row.lease_until is None:
        return False
    return now - row.lease_until > LOST_AFTER
