"""The worker pool: claims jobs, builds them, keeps their leases, and ends those that should end."""

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from ..database.connection import DatabaseUnavailableError
from .attempt import Attempt
from .builder import Builder
from .job import Claim, Job, Terms
from .patience import insistently
from .store import JobStore, LostLeaseError
from .targets import Targets

LOOK_EVERY = 1.0  # seconds between looks for jobs that other processes accepted or lost
BEAT_EVERY = 0.5  # seconds between looks at leases and wishes to cancel
RENEWALS = 5  # of a lease while it lasts; the looks between them write nothing
GIVE_WAY = 0.25  # seconds that a new build waits at most while requests are being accepted
LAST_CLAIM = 5.0  # seconds that the end waits for a claim that is being written
RECORDS_EVERY = 3600.0  # seconds between looks for records that are too old

log = logging.getLogger(__name__)


class Workers:
    """Up to `size` builds at once in this process; of one job alone, if it is given."""

    def __init__(
        self,
        store: JobStore,
        builder: Builder,
        targets: Targets,
        *,
        size: int,
        lease: timedelta,
        timeout: timedelta,
        max_attempts: int,
        accepted: asyncio.Event,
        ended: Callable[[Job], None],
        only: uuid.UUID | None = None,
        quiet: asyncio.Event | None = None,
    ) -> None:
        self.owner = f"{socket.gethostname()[:20]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._store = store
        self._builder = builder
        self._targets = targets
        self._size = size
        self._lease = lease
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._wake = accepted
        self._ended = ended
        self._only = only
        self._quiet = quiet
        self._running: dict[uuid.UUID, Attempt] = {}
        self._promised = 0  # places for jobs that are being claimed
        self._works = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; then end all builds and give their jobs back."""
        beating = asyncio.create_task(self._beat())
        self._works = True
        try:
            while True:
                self._wake.clear()
                await self._take()
                await self._woken()
                await self._give_way()
        finally:
            self._works = False
            await self._stop()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    def cancel(self, job_id: uuid.UUID) -> None:
        """End a build at once if it is here; elsewhere its worker learns of it from the database."""
        if job_id in self._running:
            self._running[job_id].cancel.set()

    @contextlib.contextmanager
    def room(self) -> Iterator[Terms]:
        """Room for jobs that are taken as they are accepted: only while nothing is built, and nobody waits.

        Else a build's begin gives way to requests, see GIVE_WAY; and requests that overlap would keep the
        worker from those that wait for as long as they come.
        """
        idle = self._works and not self._running and not self._wake.is_set()
        with self._places(self._size if idle else 0) as terms:
            yield terms

    def start(self, claims: Sequence[Claim]) -> None:
        """Work at what was claimed."""
        for claim in claims:
            attempt = Attempt(claim, self._store, self._builder, self._targets, self._timeout)
            lost = self._running.get(claim.job.id)
            if lost:  # this process was too busy to renew its own lease
                lost.give_up()
            self._running[claim.job.id] = attempt
            task = asyncio.create_task(self._finish(attempt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> int:
        """How many builds are running here."""
        return len(self._running)

    @contextlib.contextmanager
    def _places(self, most: int) -> Iterator[Terms]:
        """Free places, kept until the block ends."""
        count = max(0, min(most, self._size - len(self._running) - self._promised))
        self._promised += count
        try:
            yield Terms(self.owner, count, self._lease)
        finally:
            self._promised -= count

    async def _take(self) -> None:
        with self._places(self._size) as terms:
            claiming = asyncio.create_task(self._claims(terms))
            try:
                self.start(await asyncio.shield(claiming))
            except asyncio.CancelledError:
                # What is taken in this very moment is given back with the rest.
                await asyncio.wait([claiming], timeout=LAST_CLAIM)
                if claiming.done() and not claiming.exception():
                    self.start(claiming.result())
                claiming.cancel()
                raise

    async def _claims(self, terms: Terms) -> list[Claim]:
        if not terms.count:
            return []
        try:
            return await self._store.claim(
                terms.owner, terms.count, terms.lease, self._max_attempts, self._only
            )
        except DatabaseUnavailableError:
            return []

    async def _finish(self, attempt: Attempt) -> None:
        try:
            job = await attempt.run()
            if job is not None:
                self._ended(job)
        except Exception:
            log.exception("job %s: its end could not be written down", attempt.claim.job.id)
        finally:
            if self._running.get(attempt.claim.job.id) is attempt:
                del self._running[attempt.claim.job.id]
            self._wake.set()

    async def _woken(self) -> None:
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._wake.wait()

    async def _give_way(self) -> None:
        """Requests are accepted first: who sends one waits for the answer, and nobody for a build's begin."""
        if self._quiet is not None and self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GIVE_WAY):
                    await self._quiet.wait()

    async def _beat(self) -> None:
        renewal = 0.0
        while True:
            await asyncio.sleep(BEAT_EVERY)
            if not self._running:
                continue
            known = dict(self._running)
            try:
                if time.monotonic() >= renewal:
                    leases = await self._store.renew(self.owner, self._lease, known)
                    renewal = time.monotonic() + self._lease.total_seconds() / RENEWALS
                else:
                    leases = await self._store.leases(self.owner)
            except DatabaseUnavailableError:
                continue
            except Exception:
                # Without this task no build would keep its lease.
                log.exception("leases cannot be renewed; trying again")
                continue
            for job_id, attempt in known.items():
                if leases.held.get(job_id) != attempt.claim.fence and job_id in self._running:
                    attempt.give_up()
                elif job_id in leases.cancelled:
                    attempt.cancel.set()

    async def _stop(self) -> None:
        attempts = list(self._running.values())
        for attempt in attempts:
            attempt.give_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for attempt in attempts:
            try:
                await self._store.release(attempt.claim)
            except (LostLeaseError, DatabaseUnavailableError):
                log.info("job %s is not given back: its lease runs out by itself", attempt.claim.job.id)


async def keep_tidy(
    store: JobStore, prune: Callable[[], None], interval: timedelta, record_age: timedelta
) -> None:
    """Forget ended jobs that are old enough: in memory every `interval`, in the database every hour."""
    every = max(interval.total_seconds(), 0.05)
    await asyncio.gather(_repeatedly(prune, every), _remove_records(store, record_age))


async def _repeatedly(work: Callable[[], None], every: float) -> None:
    while True:
        work()
        await asyncio.sleep(every)


async def _remove_records(store: JobStore, age: timedelta) -> None:
    while True:
        removed = await insistently(lambda: store.remove_ended_before(age))
        await asyncio.sleep(0 if removed else RECORDS_EVERY)
