"""How a worker gets its jobs: those that wait come first, and none is lost when it ends."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from image_builder.accounts.encryption import Keyring
from image_builder.database.connection import Database
from image_builder.database.migrate import upgrade
from image_builder.jobs.job import Claim, Status
from image_builder.jobs.store import JobStore
from image_builder.jobs.targets import Targets
from image_builder.jobs.workers import Workers
from image_builder.service_settings import ServiceSettings

from .doubles import ScriptedBuilder
from .running import comes_true
from .test_store import LEASE, new_job


class Observed(JobStore):
    """Tells when a worker asks for jobs, and answers when it is allowed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked = asyncio.Semaphore(0)
        self.answers = asyncio.Event()
        self.answers.set()

    async def claim(
        self, owner: str, count: int, lease: timedelta, max_attempts: int, only: uuid.UUID | None = None
    ) -> list[Claim]:
        claims = await super().claim(owner, count, lease, max_attempts, only)
        self.asked.release()
        await self.answers.wait()
        return claims


@pytest_asyncio.fixture
async def store(settings: ServiceSettings) -> AsyncIterator[Observed]:
    database = Database(settings.database, timedelta(seconds=20))
    await upgrade(database)
    yield Observed(database)
    await database.close()


@pytest.fixture
def wake() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def workers(store: Observed, settings: ServiceSettings, wake: asyncio.Event) -> Workers:
    return Workers(
        store,
        ScriptedBuilder(),
        Targets(settings, Keyring(["a key of this test"])),
        size=2,
        lease=LEASE,
        timeout=timedelta(minutes=5),
        max_attempts=3,
        accepted=wake,
        ended=lambda job: None,
    )


def room(workers: Workers) -> int:
    with workers.room() as terms:
        return terms.count


async def test_what_is_accepted_is_taken_at_once_only_when_nobody_waits(
    workers: Workers, store: Observed, wake: asyncio.Event
) -> None:
    """Else requests that overlap would take every place in turn, and the worker would never find one."""
    running = asyncio.create_task(workers.run())
    async with asyncio.timeout(60):
        await store.asked.acquire()
    assert await comes_true(lambda: room(workers) == 2)

    wake.set()
    with workers.room() as terms:
        assert terms.count == 0
        async with asyncio.timeout(60):
            await store.asked.acquire()  # it had places to ask for jobs with

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_job_that_is_taken_while_the_service_ends_is_given_back(
    workers: Workers, store: Observed
) -> None:
    await store.accept([job := new_job()], 10)
    store.answers.clear()
    running = asyncio.create_task(workers.run())
    async with asyncio.timeout(60):
        await store.asked.acquire()

    running.cancel()
    asyncio.get_running_loop().call_later(0.1, store.answers.set)
    await asyncio.gather(running, return_exceptions=True)

    given_back = await store.get(job.id)
    assert (given_back.status, given_back.attempt) == (Status.PENDING, 0)
    (claim,) = await store.claim("another", 1, LEASE, 3)
    assert claim.job.attempt == 1
