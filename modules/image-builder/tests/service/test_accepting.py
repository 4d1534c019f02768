"""A worker that has room takes jobs with the commit that accepts them, in each database."""

import uuid
from datetime import timedelta

import pytest
from image_builder.database.connection import Database
from image_builder.jobs.job import Claim, Job, Status, Terms
from image_builder.jobs.store import JobStore, QueueFull

from .conftest import StartService
from .test_store import LEASE, NO_LEASE, new_job


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


def terms(count: int, lease: timedelta = LEASE) -> Terms:
    return Terms("here", count, lease)


async def test_as_many_are_taken_as_there_is_room_for(store: JobStore) -> None:
    batch = [new_job() for _ in range(4)]

    outcomes = await store.accept(batch, 3, terms(2))

    assert [type(outcome) for outcome in outcomes] == [Claim, Claim, Job, QueueFull]
    assert [claim.job.id for claim in await store.claim("other", 10, LEASE, 5)] == [batch[2].id]


async def test_what_is_taken_is_a_claim_like_others(store: JobStore) -> None:
    (claim,) = await store.accept([job := new_job()], 10, terms(1))

    assert isinstance(claim, Claim)
    assert await store.get(job.id) == claim.job
    assert (claim.job.status, claim.job.attempt, claim.encrypted_target) == (Status.PENDING, 1, "sealed")
    assert (await store.leases("here")).held == {job.id: claim.fence}
    assert (await store.finish(claim, Status.DONE, "", digest="sha256:1")).status is Status.DONE


async def test_nobody_goes_before_those_who_wait(store: JobStore) -> None:
    await store.accept([first := new_job()], 10)

    (second,) = await store.accept([new_job()], 10, terms(5))

    assert isinstance(second, Job)
    assert [claim.job.id for claim in await store.claim("w", 1, LEASE, 5)] == [first.id]


async def test_a_batch_that_was_committed_unheard_is_not_taken_twice(store: JobStore) -> None:
    """The claim of the first try is lost; the job is given to somebody when its lease has run out."""
    job = new_job()
    await store.accept([job], 10, terms(1, NO_LEASE))

    (again,) = await store.accept([job], 10, terms(1))

    assert isinstance(again, Job)
    (claim,) = await store.claim("w", 1, LEASE, 5)
    assert (claim.job.id, claim.fence) == (job.id, 2)


async def test_an_idle_service_builds_what_it_accepts_without_looking_for_it(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[Claim]:
        return []

    monkeypatch.setattr(JobStore, "claim", nothing)
    service = await start()
    await service.login()

    job = await service.create()

    assert job["status"] == "CREATED"
    ended = await service.ended(job["job_id"])
    assert ended["status"] == "DONE"
    assert (await service.services.jobs.get(uuid.UUID(job["job_id"]))).attempt == 1
