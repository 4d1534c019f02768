"""The jobs in the database, as builds on a cluster need them."""

import uuid
from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.clock import now_ms
from ..database.connection import Database
from ..database.tables import jobs
from ..jobs.job import OPEN, Status
from ..jobs.store import FREE, end_values
from .decide import Broken, Row


class ClusterQueue:
    """Reads what waits, and writes down what a cluster did instead of building."""

    def __init__(self, database: Database, max_attempts: int) -> None:
        self._database = database
        self._max_attempts = max_attempts

    async def rows(self, ids: Collection[uuid.UUID]) -> tuple[int, dict[uuid.UUID, Row]]:
        """The database's time in milliseconds since 1970, and these jobs; some may be gone."""
        columns = [jobs.c[name] for name in ("id", "status", "attempt", "lease_until", "cancel_requested")]
        query = select(*columns).where(jobs.c.id.in_(ids))

        async def work(connection: AsyncConnection) -> tuple[int, dict[uuid.UUID, Row]]:
            now = (await connection.execute(select(now_ms()))).scalar_one()
            found = (await connection.execute(query)).all()
            rows = [
                Row(
                    job_id=row.id,
                    status=Status(row.status),
                    attempt=row.attempt,
                    held=row.lease_until is not None and row.lease_until >= now,
                    lease_until=row.lease_until,
                    cancel_requested=row.cancel_requested,
                )
                for row in found
            ]
            return now, {row.job_id: row for row in rows}

        return await self._database.read(work)

    async def waiting(self, count: int, without: Collection[uuid.UUID]) -> list[tuple[uuid.UUID, int]]:
        """Up to `count` jobs that nobody works at, the oldest first, with the number of their next attempt.

        Jobs whose end was asked for, or whose attempts are used up, end here.
        """
        ready = (
            select(jobs.c.id, jobs.c.attempt, jobs.c.cancel_requested)
            .where(jobs.c.status.in_(OPEN), FREE, jobs.c.id.not_in(without))
            .order_by(jobs.c.created_at, jobs.c.id)
            .limit(count)
        )

        async def work(connection: AsyncConnection) -> list[tuple[uuid.UUID, int, bool]]:
            return [(row.id, row.attempt, row.cancel_requested) for row in await connection.execute(ready)]

        waiting = []
        for job_id, attempt, cancel_requested in await self._database.read(work):
            if cancel_requested:
                await self.cancelled(job_id)
            elif attempt >= self._max_attempts:
                await self.broke(Broken(job_id, attempt, "its pod is gone"))
            else:
                waiting.append((job_id, attempt + 1))
        return waiting

    async def broke(self, broken: Broken) -> None:
        """Write down that an attempt was used up; the job fails if it was the last. One that has ended, or
        that a pod holds, stays as it is."""
        values = {"attempt": broken.attempt, "lease_owner": None, "lease_until": None}
        if broken.attempt >= self._max_attempts:
            reason = f"gave up after {broken.attempt} attempts on the cluster; the last one: {broken.reason}"
            values |= end_values(Status.FAILED, reason)
        unheld = update(jobs).where(jobs.c.id == broken.job_id, jobs.c.status.in_(OPEN), FREE)
        await self._database.write(lambda connection: connection.execute(unheld.values(values)))

    async def cancelled(self, job_id: uuid.UUID) -> None:
        """End a job whose end was asked for and that no pod holds."""
        asked = update(jobs).where(
            jobs.c.id == job_id, jobs.c.status.in_(OPEN), FREE, jobs.c.cancel_requested.is_(True)
        )
        values = end_values(Status.CANCELLED, "cancelled")
        await self._database.write(lambda connection: connection.execute(asked.values(values)))
