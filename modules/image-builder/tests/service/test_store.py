"""Jobs in each database: nothing is lost, and only who holds the lease writes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
import pytest_asyncio
from image_builder.database.address import parse_database_uri
from image_builder.database.connection import Database, DatabaseUnavailableError
from image_builder.database.migrate import is_current, upgrade
from image_builder.jobs.job import Job, NewJob, Status
from image_builder.jobs.store import JobNotFoundError, JobStore, LostLeaseError, QueueFull
from sqlalchemy.ext.asyncio import AsyncConnection

Result = TypeVar("Result")
LEASE = timedelta(seconds=60)
NO_LEASE = timedelta(milliseconds=-1)  # has run out when it begins
OWNER = uuid.UUID(int=1)


def new_job(name: str = "hello") -> NewJob:
    return NewJob(uuid.uuid4(), OWNER, name, "latest", "r:5000", f"r:5000/{name}:latest", "{}", "sealed")


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


class Unheard(Database):
    """A database whose connection breaks when a commit has happened, so that nobody hears of it."""

    breaks = 0  # how many of the next commits

    async def write_once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        result = await super().write_once(work)
        if self.breaks:
            self.breaks -= 1
            raise ConnectionResetError("the connection broke")
        return result


@pytest_asyncio.fixture
async def unheard(database_uri: str) -> AsyncIterator[Unheard]:
    """It is patient for no time, so that those who insist begin anew each time."""
    database = Unheard(parse_database_uri(database_uri), timedelta())
    await upgrade(database)
    yield database
    await database.close()


async def test_an_accepted_job_is_there(store: JobStore) -> None:
    job = new_job()

    (accepted,) = await store.accept([job], 10)

    assert isinstance(accepted, Job)
    assert await store.get(job.id) == accepted
    assert accepted.status == Status.CREATED


async def test_a_job_that_nobody_made_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFoundError):
        await store.get(uuid.uuid4())


async def test_of_a_batch_only_as_many_are_accepted_as_there_is_room(store: JobStore) -> None:
    batch = [new_job() for _ in range(5)]

    outcomes = await store.accept(batch, 3)

    assert [type(outcome) for outcome in outcomes] == [Job, Job, Job, QueueFull, QueueFull]
    assert outcomes[3] == QueueFull(limit=3, current=3)


async def test_a_batch_that_was_committed_unheard_is_accepted_once(store: JobStore) -> None:
    """The connection broke during the commit: the same batch comes again, with others."""
    first, second = new_job(), new_job()
    before = await store.accept([first], 10)

    again = await store.accept([first, second], 10)

    assert again[0] == before[0]
    assert len(await store.newest(None, None, None, 10)) == 2


async def test_each_job_is_claimed_by_one_worker(store: JobStore) -> None:
    await store.accept([new_job() for _ in range(20)], 100)

    claims = await asyncio.gather(*(store.claim(f"w{number}", 5, LEASE, 5) for number in range(6)))

    ids = [claim.job.id for found in claims for claim in found]
    assert len(ids) == len(set(ids))
    rest = await store.claim("last", 20, LEASE, 5)
    assert len(ids) + len(rest) == 20


async def test_the_oldest_job_is_claimed_first(store: JobStore) -> None:
    for name in "abc":
        await store.accept([new_job(name)], 10)
        await asyncio.sleep(0.005)

    assert [claim.job.name for claim in await store.claim("w", 2, LEASE, 5)] == ["a", "b"]


async def test_a_job_whose_lease_ran_out_has_another_worker(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (lost,) = await store.claim("dead", 1, NO_LEASE, 5)

    (taken,) = await store.claim("alive", 1, LEASE, 5)

    assert taken.fence > lost.fence
    assert taken.job.attempt == 2
    for write in (
        store.advance(lost, Status.PUSHING),
        store.append(lost, ["late"]),
        store.finish(lost, Status.DONE, "", digest="sha256:late"),
        store.release(lost),
    ):
        with pytest.raises(LostLeaseError):
            await write
    assert (await store.get(taken.job.id)).digest is None


async def test_a_renewed_lease_holds(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, NO_LEASE, 5)

    leases = await store.renew("w", LEASE, {claim.job.id})

    assert leases.held == {claim.job.id: claim.fence}
    assert await store.claim("other", 1, LEASE, 5) == []


async def test_a_claim_that_no_build_stands_behind_ends_by_itself(store: JobStore) -> None:
    """Its answer was lost on the way: the worker holds other leases, and knows nothing of this one."""
    await store.accept([new_job(), new_job()], 10)
    lost, running = await store.claim("w", 2, NO_LEASE, 5)

    await store.renew("w", LEASE, {running.job.id})

    (again,) = await store.claim("other", 2, LEASE, 5)
    assert again.job.id == lost.job.id


async def test_what_was_built_is_known_to_the_next_attempt(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (first,) = await store.claim("w", 1, NO_LEASE, 5)
    await store.advance(first, Status.PUSHING, digest="sha256:abc")

    (second,) = await store.claim("w2", 1, LEASE, 5)

    assert (first.built_digest, second.built_digest) == (None, "sha256:abc")


async def test_a_job_is_not_tried_for_ever(store: JobStore) -> None:
    await store.accept([job := new_job()], 10)
    for _ in range(3):
        assert len(await store.claim("w", 1, NO_LEASE, 3)) == 1

    assert await store.claim("w", 1, NO_LEASE, 3) == []

    ended = await store.get(job.id)
    assert (ended.status, ended.context) == (
        Status.FAILED,
        "gave up: 3 attempts ended with the process that built",
    )


async def test_a_released_job_has_lost_no_attempt(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 1)

    await store.release(claim)

    (again,) = await store.claim("w2", 1, LEASE, 1)
    assert again.job.attempt == 1


async def test_a_waiting_job_ends_when_it_is_cancelled(store: JobStore) -> None:
    await store.accept([job := new_job()], 10)

    cancelled = await store.request_cancel(job.id)

    assert cancelled.status == Status.CANCELLED
    assert cancelled.finished_at is not None
    assert await store.claim("w", 1, LEASE, 5) == []


async def test_the_worker_of_a_job_learns_that_it_should_end(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)

    asked = await store.request_cancel(claim.job.id)

    assert asked.status == Status.PENDING
    assert (await store.renew("w", LEASE, {claim.job.id})).cancelled == {claim.job.id}
    assert await store.leases("w") == await store.renew("w", LEASE, {claim.job.id})


async def test_a_cancelled_job_whose_worker_died_is_not_built_again(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)
    await store.request_cancel(claim.job.id)
    await store.renew("w", NO_LEASE, {claim.job.id})

    assert await store.claim("other", 1, LEASE, 5) == []

    assert (await store.get(claim.job.id)).status == Status.CANCELLED


async def test_an_ended_job_stays_as_it_is(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)
    done = await store.finish(claim, Status.DONE, "", size=7, digest="sha256:abc")

    assert await store.request_cancel(claim.job.id) == done
    assert (done.size, done.digest) == (7, "sha256:abc")
    with pytest.raises(LostLeaseError):
        await store.advance(claim, Status.BUILDING)


async def test_ending_a_job_twice_in_the_same_way_is_once(store: JobStore) -> None:
    """The connection broke during the commit, and the worker tries again."""
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)

    first = await store.finish(claim, Status.DONE, "", digest="sha256:abc")

    assert await store.finish(claim, Status.DONE, "", digest="sha256:abc") == first


async def test_the_log_keeps_its_order(store: JobStore) -> None:
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)
    await store.advance(claim, Status.BUILDING)
    await store.append(claim, ["ä\n", "b" * 200_000])
    await store.finish(claim, Status.FAILED, "broken")

    events = await store.events(claim.job.id, 0, 100)

    assert [(event.sequence, event.kind, event.text) for event in events] == [
        (1, "status", "BUILDING"),
        (2, "log", "ä\n"),
        (3, "log", "b" * 200_000),
        (4, "status", "FAILED"),
    ]
    assert await store.events(claim.job.id, 3, 100) == events[3:]


async def test_old_records_go_and_open_jobs_stay(store: JobStore) -> None:
    await store.accept([new_job("ended"), new_job("open")], 10)
    claims = await store.claim("w", 2, LEASE, 5)
    ended = next(claim for claim in claims if claim.job.name == "ended")
    await store.append(ended, ["line"])
    await store.finish(ended, Status.DONE, "")

    assert await store.remove_ended_before(timedelta(days=90)) == 0
    assert await store.remove_ended_before(timedelta(seconds=-5)) == 1

    assert [job.name for job in await store.newest(None, None, None, 10)] == ["open"]
    assert await store.events(ended.job.id, 0, 10) == []


async def test_jobs_are_listed_by_owner_and_status(store: JobStore) -> None:
    await store.accept([new_job("a"), new_job("b")], 10)
    await store.claim("w", 1, LEASE, 5)

    assert len(await store.newest(OWNER, None, None, 10)) == 2
    assert await store.newest(uuid.uuid4(), None, None, 10) == []
    assert len(await store.newest(None, Status.CREATED, None, 10)) == 1
    assert await store.newest(None, None, 1, 10) == []
    assert await store.counts() == {
        Status.CREATED: 1,
        Status.PENDING: 1,
        Status.AUTHORIZING: 0,
        Status.GENERATING: 0,
        Status.BUILDING: 0,
        Status.PUSHING: 0,
    }


async def test_what_was_committed_unheard_is_not_written_again(unheard: Unheard) -> None:
    store = JobStore(unheard)
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)

    for number, writing in enumerate(
        [
            lambda: store.append(claim, ["one\n", "two\n"]),
            lambda: store.append(claim, ["two\n"]),  # said twice indeed
            lambda: store.advance(claim, Status.PUSHING, digest="sha256:abc", log=["three\n"]),
            lambda: store.finish(claim, Status.DONE, "", digest="sha256:abc", log=["four\n"]),
        ]
    ):
        unheard.breaks = number % 2 + 1
        await writing()
        assert unheard.breaks == 0

    told = [(event.sequence, event.text) for event in await store.events(claim.job.id, 0, 100)]
    texts = ["one\n", "two\n", "two\n", "three\n", "PUSHING", "four\n", "DONE"]
    assert told == list(enumerate(texts, 1))


async def test_a_job_that_was_given_back_unheard_is_given_back_once(unheard: Unheard) -> None:
    store = JobStore(unheard)
    await store.accept([new_job()], 10)
    (claim,) = await store.claim("w", 1, LEASE, 5)

    unheard.breaks = 1
    with pytest.raises(DatabaseUnavailableError):
        await store.release(claim)
    await store.release(claim)

    (again,) = await store.claim("w", 1, LEASE, 5)
    assert again.job.attempt == 1


async def test_pages_of_jobs_have_each_job_once(store: JobStore) -> None:
    """Requests that arrive together have one time."""
    await store.accept([new_job() for _ in range(5)], 10)
    everything = await store.newest(None, None, None, 10)
    assert len({job.created_at for job in everything}) == 1

    pages = [await store.newest(None, None, None, 2)]
    while pages[-1]:
        last = pages[-1][-1]
        pages.append(await store.newest(None, None, last.created_at, 2, last.id))

    assert [job for page in pages for job in page] == everything


async def test_two_processes_may_bring_a_database_up_to_date_at_once(database: Database) -> None:
    await asyncio.gather(upgrade(database), upgrade(database))

    assert await is_current(database)
