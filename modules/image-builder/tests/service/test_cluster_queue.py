"""The jobs as builds on a cluster see them, on the databases that replicas can share."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from image_builder.cluster.decide import Broken
from image_builder.cluster.queue import ClusterQueue
from image_builder.cluster.turn import turn
from image_builder.database.address import parse_database_uri
from image_builder.database.connection import Database
from image_builder.database.migrate import upgrade
from image_builder.jobs.job import NewJob, Status
from image_builder.jobs.store import JobStore

from .database_servers import DatabaseServer

LEASE = timedelta(seconds=30)
ATTEMPTS = 3


@pytest.fixture(params=["postgres", "mariadb"])
def shared_uri(request: pytest.FixtureRequest) -> str:
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.new_database()


@pytest_asyncio.fixture
async def shared(shared_uri: str) -> AsyncIterator[Database]:
    database = Database(parse_database_uri(shared_uri), timedelta(seconds=20))
    await upgrade(database)
    yield database
    await database.close()


async def accepted(database: Database, count: int = 1) -> list[uuid.UUID]:
    """Jobs that wait, the oldest first."""
    ids = []
    for number in range(count):
        job = NewJob(uuid.uuid4(), uuid.uuid4(), f"n{number}", "1", "r", "r/n:1", "{}", None)
        await JobStore(database).accept([job], 100)
        ids.append(job.id)
        await asyncio.sleep(0.002)  # their times are whole milliseconds, and order them
    return ids


async def test_one_replica_at_a_time_has_its_turn(shared: Database, shared_uri: str) -> None:
    other = Database(parse_database_uri(shared_uri))
    try:
        async with turn(shared) as mine, turn(other) as theirs:
            assert (mine, theirs) == (True, False)
        async with turn(other) as theirs:
            assert theirs
    finally:
        await other.close()


async def test_a_turn_that_fails_ends(shared: Database) -> None:
    with pytest.raises(RuntimeError):
        async with turn(shared):
            raise RuntimeError

    async with turn(shared) as mine:
        assert mine


async def test_waiting_jobs_come_in_their_order_without_those_that_have_a_pod(shared: Database) -> None:
    queue = ClusterQueue(shared, ATTEMPTS)
    first, second, third, fourth = await accepted(shared, 4)
    await JobStore(shared).claim("pod", 1, LEASE, ATTEMPTS, only=third)

    assert await queue.waiting(2, [first]) == [(second, 1), (fourth, 1)]
    assert await queue.waiting(1, []) == [(first, 1)]


async def test_a_worker_for_one_job_takes_no_other(shared: Database) -> None:
    first, second = await accepted(shared, 2)

    (claim,) = await JobStore(shared).claim("pod", 5, LEASE, ATTEMPTS, only=second)

    assert claim.job.id == second
    assert await ClusterQueue(shared, ATTEMPTS).waiting(5, []) == [(first, 1)]


async def test_a_broken_attempt_counts_although_it_never_began(shared: Database) -> None:
    queue = ClusterQueue(shared, ATTEMPTS)
    (job_id,) = await accepted(shared)

    await queue.broke(Broken(job_id, 1, "ImagePullBackOff"))

    assert await queue.waiting(5, []) == [(job_id, 2)]


async def test_the_last_attempt_ends_the_job_with_the_clusters_reason(shared: Database) -> None:
    (job_id,) = await accepted(shared)

    await ClusterQueue(shared, ATTEMPTS).broke(Broken(job_id, ATTEMPTS, "OOMKilled (exit status 137)"))

    job = await JobStore(shared).get(job_id)
    assert job.status is Status.FAILED
    assert job.context == "gave up after 3 attempts on the cluster; the last one: OOMKilled (exit status 137)"


async def test_what_a_pod_holds_is_neither_broken_nor_cancelled_here(shared: Database) -> None:
    queue, store = ClusterQueue(shared, ATTEMPTS), JobStore(shared)
    (job_id,) = await accepted(shared)
    await store.claim("pod", 1, LEASE, ATTEMPTS, only=job_id)
    await store.request_cancel(job_id)

    await queue.broke(Broken(job_id, ATTEMPTS, "Evicted"))
    await queue.cancelled(job_id)

    now, rows = await queue.rows([job_id])
    row = rows[job_id]
    assert (row.status, row.held, row.attempt, row.cancel_requested) == (Status.PENDING, True, 1, True)
    assert row.lease_until is not None
    assert now < row.lease_until


async def test_a_cancelled_job_whose_pod_is_gone_ends_when_it_would_be_made_again(shared: Database) -> None:
    queue, store = ClusterQueue(shared, ATTEMPTS), JobStore(shared)
    (job_id,) = await accepted(shared)
    (claim,) = await store.claim("pod", 1, LEASE, ATTEMPTS, only=job_id)
    await store.request_cancel(job_id)
    await store.release(claim)

    assert await queue.waiting(5, []) == []
    assert (await store.get(job_id)).status is Status.CANCELLED


async def test_a_job_whose_attempts_are_used_up_ends_when_it_would_be_made_again(shared: Database) -> None:
    queue = ClusterQueue(shared, max_attempts=1)
    (job_id,) = await accepted(shared)
    await JobStore(shared).claim("pod", 1, timedelta(), ATTEMPTS, only=job_id)
    await asyncio.sleep(0.01)  # a lease of no length is over in the next millisecond

    assert await queue.waiting(5, []) == []
    assert (await JobStore(shared).get(job_id)).status is Status.FAILED
