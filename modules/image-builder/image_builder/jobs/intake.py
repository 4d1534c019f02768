"""Accepts jobs: requests that arrive together share one transaction, so one wait for the disk."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ..database.connection import RETRY_DELAY, is_outage
from .job import Claim, Job, NewJob, Terms
from .store import JobStore, QueueFull

BATCH = 256  # jobs in one transaction
CALM = 0.005  # seconds without a request after which it is quiet


class QueueFullError(Exception):
    """There are as many waiting jobs as the settings allow."""

    def __init__(self, limit: int, current: int) -> None:
        super().__init__(f"the queue is full: {current} jobs are waiting, and {limit} may")
        self.limit = limit
        self.current = current


class Worker(Protocol):
    """Who may take jobs with the commit that accepts them."""

    def room(self) -> AbstractContextManager[Terms]:
        """The terms on which it would take jobs now; its room is kept until the block ends."""
        ...

    def start(self, claims: Sequence[Claim]) -> None:
        """Work at jobs that were taken on its terms."""


class NotAcceptedInTimeError(Exception):
    """The database did not answer in time; the job may have been accepted all the same."""

    def __init__(self, job_id: uuid.UUID) -> None:
        super().__init__(
            "the database does not answer; ask for this job later, and send the request again if there is "
            "none with this id"
        )
        self.job_id = job_id


@dataclass(eq=False)
class _Waiting:
    job: NewJob
    deadline: float
    answer: "asyncio.Future[Job | QueueFull]"


class Intake:
    """Turns requests into rows. `run` has to be running.

    Attributes:
        accepted: set when there is something new to build.
        worker: takes jobs as they are accepted, if there is one.
        quiet: set when no request has come for a moment.
    """

    def __init__(self, store: JobStore, limit: int, patience: timedelta) -> None:
        self._store = store
        self._limit = limit
        self._patience = patience.total_seconds()
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self.accepted = asyncio.Event()
        self.worker: Worker | None = None
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._calm: asyncio.TimerHandle | None = None

    async def submit(self, job: NewJob) -> Job:
        """The accepted job; it is in the database when this returns.

        Raises:
            QueueFullError: too many jobs are waiting.
            NotAcceptedInTimeError: the database did not answer for as long as the service is patient.
        """
        answer: asyncio.Future[Job | QueueFull] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(job, time.monotonic() + self._patience, answer))
        self._arrived.set()
        self._not_quiet()
        outcome = await answer
        if isinstance(outcome, QueueFull):
            raise QueueFullError(outcome.limit, outcome.current)
        return outcome

    async def run(self) -> None:
        """Write what arrives, until cancelled."""
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            if batch:
                await self._write(batch)

    def _not_quiet(self) -> None:
        self.quiet.clear()
        if self._calm is not None:
            self._calm.cancel()
        self._calm = asyncio.get_running_loop().call_later(CALM, self.quiet.set)

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        delay, longest = RETRY_DELAY
        while batch:
            try:
                await self._accept(batch)
            except Exception as error:
                if not is_outage(error):
                    _fail(batch, error)
                    return
                batch = _in_time(batch)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, longest)
            batch += self._next_batch()

    async def _accept(self, batch: list[_Waiting]) -> None:
        with ExitStack() as kept:
            terms = kept.enter_context(self.worker.room()) if self.worker else None
            outcomes = await self._store.accept([item.job for item in batch], self._limit, terms)
            claims = [outcome for outcome in outcomes if isinstance(outcome, Claim)]
            if self.worker:
                self.worker.start(claims)
        for item, outcome in zip(batch, outcomes, strict=True):
            if not item.answer.done():
                # Who ordered it hears what the row was first: what follows is asked for.
                made = item.job.accepted(outcome.job.created_at) if isinstance(outcome, Claim) else outcome
                item.answer.set_result(made)
        if len(claims) < len(batch):
            self.accepted.set()


def _in_time(batch: list[_Waiting]) -> list[_Waiting]:
    now = time.monotonic()
    for item in batch:
        if item.deadline <= now and not item.answer.done():
            item.answer.set_exception(NotAcceptedInTimeError(item.job.id))
    return [item for item in batch if item.deadline > now]


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for item in batch:
        if not item.answer.done():
            item.answer.set_exception(error)
