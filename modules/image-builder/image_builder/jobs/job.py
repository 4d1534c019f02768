"""A job and its states."""

import enum
import uuid
from dataclasses import dataclass
from datetime import timedelta


class Status(enum.StrEnum):
    """Where a job is. A job goes forward only, but for PENDING, to which a broken attempt returns."""

    CREATED = "CREATED"
    PENDING = "PENDING"
    AUTHORIZING = "AUTHORIZING"
    GENERATING = "GENERATING"
    BUILDING = "BUILDING"
    PUSHING = "PUSHING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in FINAL


FINAL = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED})
OPEN = tuple(status for status in Status if status not in FINAL)


@dataclass(frozen=True)
class Job:
    """What is known of a job; times are milliseconds since 1970."""

    id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    tag: str
    registry: str
    image: str
    status: Status
    context: str
    size: int
    digest: str | None
    cancel_requested: bool
    attempt: int
    created_at: int
    started_at: int | None
    finished_at: int | None


@dataclass(frozen=True)
class NewJob:
    """What is kept of a request.

    Attributes:
        request: the request as JSON, without credentials.
        encrypted_target: where to push, with credentials.
    """

    id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    tag: str
    registry: str
    image: str
    request: str
    encrypted_target: str | None

    def accepted(self, created_at: int) -> Job:
        """The job that it has become."""
        return Job(
            id=self.id,
            owner_id=self.owner_id,
            name=self.name,
            tag=self.tag,
            registry=self.registry,
            image=self.image,
            status=Status.CREATED,
            context="",
            size=0,
            digest=None,
            cancel_requested=False,
            attempt=0,
            created_at=created_at,
            started_at=None,
            finished_at=None,
        )


@dataclass(frozen=True)
class Claim:
    """A job that a worker may work at, until its lease is not renewed in time.

    Attributes:
        fence: number of the claim; writes under an older one are refused.
        built_digest: what an earlier attempt had built and may have pushed.
    """

    job: Job
    request: str
    encrypted_target: str | None
    fence: int
    built_digest: str | None


@dataclass(frozen=True)
class Terms:
    """How a worker takes jobs.

    Attributes:
        owner: the worker.
        count: how many it has room for.
        lease: how long they are its own without being renewed.
    """

    owner: str
    count: int
    lease: timedelta


@dataclass(frozen=True)
class Event:
    """One entry of a job's log; `sequence` counts from 1."""

    sequence: int
    kind: str  # "log" or "status"
    attempt: int
    text: str
    at: int
