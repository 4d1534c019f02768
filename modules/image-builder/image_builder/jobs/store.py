"""Jobs in the database."""

import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.clock import now_ms
from ..database.connection import Database
from ..database.tables import job_events, jobs
from .job import OPEN, Claim, Event, Job, NewJob, Status, Terms
from .patience import insistently
from .storable import storable

PRUNED_AT_ONCE = 500  # jobs whose records one transaction removes

_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]
_NO_LEASE: dict[str, Any] = {
    "status": Status.CREATED,
    "attempt": 0,
    "fence": 0,
    "lease_owner": None,
    "lease_until": None,
    "started_at": None,
}
_WAITING = and_(jobs.c.status.in_([Status.CREATED, Status.PENDING]), jobs.c.lease_owner.is_(None))
FREE = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now_ms())


class JobNotFoundError(Exception):
    """There is no such job."""


class LostLeaseError(Exception):
    """Another worker has the job, or it has ended: what this one does no longer counts."""


@dataclass(frozen=True)
class QueueFull:
    """There was no room for a job."""

    limit: int
    current: int


@dataclass(frozen=True)
class Leases:
    """What the database says of a worker's claims.

    Attributes:
        held: job -> number of the claim.
        cancelled: jobs whose end was asked for.
    """

    held: dict[uuid.UUID, int]
    cancelled: set[uuid.UUID]


class JobStore:
    """Reads and writes jobs; every write of a worker is under the number of its claim."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(
        self, batch: Sequence[NewJob], limit: int, terms: Terms | None = None
    ) -> list[Job | Claim | QueueFull]:
        """Make rows of requests, all in one transaction, while fewer than `limit` are waiting.

        A worker that has room takes the first of them with the same commit, unless others are waiting.

        One try: whoever calls it again after an outage gives the same jobs, which are then known; a claim
        that was lost on the way ends with its lease.
        """

        async def work(connection: AsyncConnection) -> list[Job | Claim | QueueFull]:
            query = select(now_ms(), func.count()).select_from(jobs).where(_WAITING)
            now, waiting = (await connection.execute(query)).one()
            ids = [job.id for job in batch]
            known_query = select(jobs.c.id, jobs.c.created_at).where(jobs.c.id.in_(ids))
            known = {row.id: row.created_at for row in await connection.execute(known_query)}
            fresh = [job for job in batch if job.id not in known]
            room = max(0, limit - waiting)
            taken = fresh[: min(room, terms.count)] if terms and not waiting else []
            lease = _lease(terms, now) if terms and taken else _NO_LEASE
            rows = [_row(job, now) | (lease if job in taken else _NO_LEASE) for job in fresh[:room]]
            if rows:
                await connection.execute(insert(jobs), rows)
            special: dict[uuid.UUID, Claim | QueueFull] = {job.id: _first_claim(job, now) for job in taken}
            special |= {job.id: QueueFull(limit, waiting + room) for job in fresh[room:]}
            return [special.get(job.id) or job.accepted(known.get(job.id, now)) for job in batch]

        return await self._database.write_once(work)

    async def get(self, job_id: uuid.UUID) -> Job:
        """The job.

        Raises:
            JobNotFoundError: there is none.
        """
        return await self._database.read(lambda connection: _get(connection, job_id))

    async def newest(
        self,
        owner_id: uuid.UUID | None,
        status: Status | None,
        before: int | None,
        limit: int,
        last: uuid.UUID | None = None,
    ) -> list[Job]:
        """The newest jobs (of one owner, in one state, made before a time), the newest first.

        Args:
            owner_id: whose; everybody's without.
            status: in which state; in any without.
            before: milliseconds since 1970.
            limit: how many.
            last: job of the time `before` whose followers are wanted too: many are made at one moment.
        """
        query = select(*_COLUMNS).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        if owner_id is not None:
            query = query.where(jobs.c.owner_id == owner_id)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            earlier = jobs.c.created_at < before
            if last is not None:
                earlier = or_(earlier, and_(jobs.c.created_at == before, jobs.c.id > last))
            query = query.where(earlier)

        async def work(connection: AsyncConnection) -> list[Job]:
            return [_job(row) for row in await connection.execute(query)]

        return await self._database.read(work)

    async def counts(self) -> dict[Status, int]:
        """How many jobs are in each state that is not final."""
        query = select(jobs.c.status, func.count()).where(jobs.c.status.in_(OPEN)).group_by(jobs.c.status)

        async def work(connection: AsyncConnection) -> dict[Status, int]:
            found = {Status(status): count for status, count in await connection.execute(query)}
            return {status: found.get(status, 0) for status in OPEN}

        return await self._database.read(work)

    async def request_cancel(self, job_id: uuid.UUID) -> Job:
        """Ask for a job's end. One that nobody works at has ended with this; a final one stays as it is.

        Raises:
            JobNotFoundError: there is none.
        """

        async def work(connection: AsyncConnection) -> Job:
            await _lock(connection, job_id)
            unfinished = update(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(OPEN))
            await connection.execute(unfinished.values(cancel_requested=True))
            await connection.execute(unfinished.where(FREE).values(end_values(Status.CANCELLED, "cancelled")))
            return await _get(connection, job_id)

        return await self._database.write(work)

    async def claim(
        self, owner: str, count: int, lease: timedelta, max_attempts: int, only: uuid.UUID | None = None
    ) -> list[Claim]:
        """Take up to `count` jobs (or the `only` one) that nobody works at, the oldest first.

        Jobs whose end was asked for, or whose attempts are used up, end here.
        """
        ready = (
            select(*_COLUMNS, jobs.c.request, jobs.c.encrypted_target, jobs.c.fence, now_ms().label("now"))
            .where(jobs.c.status.in_(OPEN), FREE)
            .order_by(jobs.c.created_at, jobs.c.id)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        if only is not None:
            ready = ready.where(jobs.c.id == only)

        async def work(connection: AsyncConnection) -> list[Claim]:
            rows = (await connection.execute(ready)).all()
            taken = []
            for row in rows:
                if row.cancel_requested:
                    await _update(connection, [row.id], end_values(Status.CANCELLED, "cancelled"))
                elif row.attempt >= max_attempts:
                    used_up = f"gave up: {max_attempts} attempts ended with the process that built"
                    await _update(connection, [row.id], end_values(Status.FAILED, used_up))
                else:
                    taken.append(row)
            if taken:
                begun = case((jobs.c.started_at.is_(None), taken[0].now), else_=jobs.c.started_at)
                values = {
                    "status": Status.PENDING,
                    "lease_owner": owner,
                    "lease_until": now_ms() + _milliseconds(lease),
                    "fence": jobs.c.fence + 1,
                    "attempt": jobs.c.attempt + 1,
                    "started_at": begun,
                }
                await _update(connection, [row.id for row in taken], values)
            return [_claim(row) for row in taken]

        return await self._database.write(work)

    async def renew(self, owner: str, lease: timedelta, running: Collection[uuid.UUID]) -> Leases:
        """Prolong a worker's leases of jobs that run there; learn which it still has and which should end.

        A lease that no build stands behind (its claim was lost on the way) ends by itself.
        """
        held = and_(_held_by(owner), jobs.c.id.in_(running))
        change = update(jobs).where(held).values(lease_until=now_ms() + _milliseconds(lease))

        async def work(connection: AsyncConnection) -> Leases:
            await connection.execute(change)
            return await _leases(connection, owner)

        return await self._database.write(work)

    async def leases(self, owner: str) -> Leases:
        """What `renew` tells, without prolonging anything."""
        return await self._database.read(lambda connection: _leases(connection, owner))

    async def advance(
        self, claim: Claim, status: Status, *, digest: str | None = None, log: Sequence[str] = ()
    ) -> None:
        """Note how far a job has come, what was built, and what was logged before; however long it takes.

        Raises:
            LostLeaseError: the job is no longer this claim's.
        """
        values: dict[str, Any] = {"status": status}
        if digest is not None:
            values["digest"] = digest
        await self._fenced(claim, values, _events(log, status))

    async def finish(
        self,
        claim: Claim,
        status: Status,
        context: str,
        *,
        size: int = 0,
        digest: str | None = None,
        log: Sequence[str] = (),
    ) -> Job:
        """End a job, with what was logged at last; however long it takes.

        Raises:
            LostLeaseError: the job is no longer this claim's.
        """
        values = {**end_values(status, context), "size": size, "digest": digest}
        return await self._fenced(claim, values, _events(log, status))

    async def release(self, claim: Claim) -> None:
        """Give a job back to the queue, as if the attempt had not begun.

        Raises:
            LostLeaseError: the job is no longer this claim's.
        """
        values = {
            "status": Status.PENDING,
            "lease_owner": None,
            "lease_until": None,
            "attempt": claim.job.attempt - 1,
        }
        await self._database.write(_fenced_work(claim, values, []))

    async def append(self, claim: Claim, texts: Iterable[str]) -> None:
        """Add to a job's log; however long it takes.

        Raises:
            LostLeaseError: the job is no longer this claim's.
        """
        await self._fenced(claim, {}, [("log", text) for text in texts])

    async def events(self, job_id: uuid.UUID, after: int, limit: int) -> list[Event]:
        """What follows the entry `after` in a job's log."""
        query = (
            select(*(job_events.c[name] for name in Event.__dataclass_fields__))
            .where(job_events.c.job_id == job_id, job_events.c.sequence > after)
            .order_by(job_events.c.sequence)
            .limit(limit)
        )

        async def work(connection: AsyncConnection) -> list[Event]:
            return [Event(**row._mapping) for row in await connection.execute(query)]

        return await self._database.read(work)

    async def remove_ended_before(self, age: timedelta) -> int:
        """Remove records and logs of jobs that ended longer than `age` ago; how many."""
        old = select(jobs.c.id).where(jobs.c.finished_at < now_ms() - _milliseconds(age))

        async def work(connection: AsyncConnection) -> int:
            ids = [row.id for row in await connection.execute(old.limit(PRUNED_AT_ONCE))]
            if ids:
                await connection.execute(delete(job_events).where(job_events.c.job_id.in_(ids)))
                await connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
            return len(ids)

        return await self._database.write(work)

    async def _fenced(self, claim: Claim, values: dict[str, Any], events: list[tuple[str, str]]) -> Job:
        """Change a job and add to its log, if the job is still this claim's; the job as it is then.

        Repeated until the database answers.
        """
        work = _fenced_work(claim, values, events)
        return await insistently(lambda: self._database.write(work))


def _fenced_work(
    claim: Claim, values: dict[str, Any], events: list[tuple[str, str]]
) -> Callable[[AsyncConnection], Awaitable[Job]]:
    """What `_fenced` does in a transaction; it can be repeated after a commit that nobody heard of."""
    begun: int | None = None  # number of the first event as the try before has written it

    async def work(connection: AsyncConnection) -> Job:
        nonlocal begun
        row = await _lock(connection, claim.job.id)
        if row is not None and row.fence == claim.fence and row.status in OPEN:
            if values:
                await _update(connection, [claim.job.id], values)
            if events:
                number = await _next_number(connection, claim.job.id)
                if begun in (None, number):  # else they are there: nobody else writes under this claim
                    begun = number
                    await connection.execute(insert(job_events), _event_rows(claim, events, number, row.now))
        elif row is None or row.fence != claim.fence or row.status != values.get("status"):
            raise LostLeaseError(f"job {claim.job.id} has another worker, or has ended")
        # Else an earlier try was committed after all.
        return await _get(connection, claim.job.id)

    return work


async def _next_number(connection: AsyncConnection, job_id: uuid.UUID) -> int:
    """The number of the next event of a job that is locked."""
    last = select(func.coalesce(func.max(job_events.c.sequence), 0)).where(job_events.c.job_id == job_id)
    return int((await connection.execute(last)).scalar_one()) + 1


def _event_rows(
    claim: Claim, events: Sequence[tuple[str, str]], first: int, now: int
) -> list[dict[str, Any]]:
    return [
        {
            "job_id": claim.job.id,
            "sequence": first + index,
            "kind": kind,
            "attempt": claim.job.attempt,
            "text": text,
            "at": now,
        }
        for index, (kind, text) in enumerate(events)
    ]


async def _update(connection: AsyncConnection, ids: Sequence[uuid.UUID], values: dict[str, Any]) -> None:
    await connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(values))


def _held_by(owner: str) -> ColumnElement[bool]:
    return and_(jobs.c.lease_owner == owner, jobs.c.status.in_(OPEN))


async def _leases(connection: AsyncConnection, owner: str) -> Leases:
    query = select(jobs.c.id, jobs.c.fence, jobs.c.cancel_requested).where(_held_by(owner))
    rows = (await connection.execute(query)).all()
    return Leases(
        held={row.id: row.fence for row in rows},
        cancelled={row.id for row in rows if row.cancel_requested},
    )


async def _get(connection: AsyncConnection, job_id: uuid.UUID) -> Job:
    row = (await connection.execute(select(*_COLUMNS).where(jobs.c.id == job_id))).one_or_none()
    if row is None:
        raise JobNotFoundError("there is no such job")
    return _job(row)


async def _lock(connection: AsyncConnection, job_id: uuid.UUID) -> Row[*tuple[Any, ...]] | None:
    query = (
        select(jobs.c.fence, jobs.c.status, now_ms().label("now"))
        .where(jobs.c.id == job_id)
        .with_for_update()
    )
    return (await connection.execute(query)).one_or_none()


def _events(log: Iterable[str], status: Status) -> list[tuple[str, str]]:
    return [*(("log", text) for text in log), ("status", status.value)]


def end_values(status: Status, context: str) -> dict[str, Any]:
    """What an ended job has: no lease, no credentials."""
    return {
        "status": status,
        "context": storable(context),
        "finished_at": now_ms(),
        "lease_owner": None,
        "lease_until": None,
        "encrypted_target": None,
    }


def _row(job: NewJob, now: int) -> dict[str, Any]:
    return {
        **vars(job),
        "context": "",
        "size": 0,
        "cancel_requested": False,
        "created_at": now,
    }


def _lease(terms: Terms, now: int) -> dict[str, Any]:
    """What a new job has that is taken at once."""
    return {
        "status": Status.PENDING,
        "attempt": 1,
        "fence": 1,
        "lease_owner": terms.owner,
        "lease_until": now + _milliseconds(terms.lease),
        "started_at": now,
    }


def _first_claim(job: NewJob, now: int) -> Claim:
    begun = replace(job.accepted(now), status=Status.PENDING, attempt=1, started_at=now)
    return Claim(begun, job.request, job.encrypted_target, fence=1, built_digest=None)


def _job(row: Row[*tuple[Any, ...]]) -> Job:
    values = {name: row._mapping[name] for name in Job.__dataclass_fields__}
    return Job(**{**values, "status": Status(values["status"])})


def _claim(row: Row[*tuple[Any, ...]]) -> Claim:
    """The claim that takes a job which was in this state."""
    before = _job(row)
    started = row.now if before.started_at is None else before.started_at
    job = replace(before, status=Status.PENDING, attempt=before.attempt + 1, started_at=started)
    return Claim(job, row.request, row.encrypted_target, row.fence + 1, job.digest)


def _milliseconds(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)
