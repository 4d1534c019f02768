"""Keeps a cluster's Jobs in step with the jobs of the database."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

from ..database.connection import Database, DatabaseUnavailableError, is_outage
from ..jobs.executor import Executor
from ..jobs.job import Job
from ..jobs.store import JobNotFoundError, JobStore
from .api import ClusterApi, ClusterError
from .decide import Row, decide, needs_reasons
from .observed import ClusterJob, cluster_job, last_words, pod_reasons
from .queue import ClusterQueue
from .template import job_of
from .turn import turn

LOOK_EVERY = 1.0  # seconds between looks of one replica
TURN_SECONDS = 45.0  # in which one look has to be done; the lock is lost after 60 s of silence
CALLS_AT_ONCE = 10  # to the API server
# Over a build's own limit of time: the pod ends a build that takes too long itself, and says so.
DEADLINE_GRACE = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Dispatcher(Executor):
    """One in every replica; they take turns and keep nothing between two turns.

    Args:
        api: opens the connections to the cluster.
        template: the Job that all are made from.
        max_jobs: how many may be there at once.
        start_timeout: in which a pod has to begin.
        timeout: of a build.
        accepted: set when there is something new to build.
        ended: told of jobs that have ended.
    """

    def __init__(
        self,
        database: Database,
        api: Callable[[], ClusterApi],
        template: dict[str, Any],
        *,
        max_jobs: int,
        max_attempts: int,
        start_timeout: timedelta,
        timeout: timedelta,
        accepted: asyncio.Event,
        ended: Callable[[Job], None],
    ) -> None:
        self._database = database.impatient()
        self._queue = ClusterQueue(self._database, max_attempts)
        self._store = JobStore(self._database)
        self._open_api = api
        self._template = template
        self._max_jobs = max_jobs
        self._start_timeout = start_timeout
        self._deadline = start_timeout + timeout + DEADLINE_GRACE
        self._wake = accepted
        self._ended = ended

    async def run(self) -> None:
        """Work until cancelled. Jobs stay: another replica, or the next start, looks after them."""
        async with self._open_api() as api:
            while True:
                self._wake.clear()
                await self._look(api)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._wake.wait()

    def cancel(self, job_id: uuid.UUID) -> None:
        """Look soon: a job without a pod ends here, the others by their pods."""
        self._wake.set()

    async def _look(self, api: ClusterApi) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS), turn(self._database) as mine:
                if mine:
                    await self._take_turn(api)
        except ClusterError as error:
            log.warning("the cluster: %s", error)
        except (DatabaseUnavailableError, TimeoutError):
            log.warning("the database or the cluster does not answer; looking again")
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("the database does not answer (%s); looking again", type(error).__name__)

    async def _take_turn(self, api: ClusterApi) -> None:
        found = [job for manifest in await api.jobs() if (job := cluster_job(manifest))]
        # After the Jobs, so that a job's row is never older than what its pod did.
        now, rows = await self._queue.rows({job.job_id for job in found})
        live = await self._tidy(api, found, now, rows)
        if live < self._max_jobs:
            waiting = await self._queue.waiting(self._max_jobs - live, {job.job_id for job in found})
            owners = await api.owners() if waiting else []
            jobs = [
                job_of(self._template, job_id, attempt, self._deadline, owners) for job_id, attempt in waiting
            ]
            await _each(api.create_job(job) for job in jobs)

    async def _tidy(
        self, api: ClusterApi, found: list[ClusterJob], now: int, rows: dict[uuid.UUID, Row]
    ) -> int:
        """Bring the Jobs that are there to their ends; how many go on."""
        pods = await api.pods() if needs_reasons(found, rows) else []
        start_timeout = int(self._start_timeout.total_seconds() * 1000)
        decisions = decide(found, rows, pod_reasons(pods), now, start_timeout)
        for job, words in last_words(pods).items():
            log.warning("the pod of %s ended with: %s", job, words)
        for broken in decisions.broken:
            log.warning("job %s: attempt %d ended: %s", broken.job_id, broken.attempt, broken.reason)
            await self._queue.broke(broken)
        for job_id in decisions.cancelled:
            await self._queue.cancelled(job_id)
        await _each(api.delete_job(name) for name in decisions.delete)
        for job_id in decisions.ended:
            with contextlib.suppress(JobNotFoundError):
                self._ended(await self._store.get(job_id))
        return decisions.live


async def _each(calls: Iterable[Awaitable[None]]) -> None:
    """Make all calls, some at once.

    Raises:
        ClusterError: one of them failed; the others were made all the same.
    """
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(call: Awaitable[None]) -> None:
        async with places:
            await call

    outcomes = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
