"""Work that several want is done once, and goes on while anyone waits for it."""

import asyncio

import pytest
from dockerimage_replication.oci.coalesce import Coalescer, all_of


class Work:
    """Work that ends when the test says so."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.cancelled = False
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self._error = error

    async def __call__(self) -> None:
        self.begun += 1
        self.started.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self._error:
            raise self._error


async def test_concurrent_callers_share_the_work_and_one_of_them_began_it() -> None:
    coalescer, work = Coalescer(), Work()
    callers = [asyncio.create_task(coalescer.run("key", work)) for _ in range(3)]
    await work.started.wait()
    work.gate.set()
    assert await asyncio.gather(*callers) == [True, False, False]
    assert work.begun == 1


async def test_other_keys_and_later_callers_do_their_own_work() -> None:
    coalescer, work = Coalescer(), Work()
    work.gate.set()
    await asyncio.gather(coalescer.run("one", work), coalescer.run("two", work))
    assert await coalescer.run("one", work)
    assert work.begun == 3


async def test_a_failure_reaches_everyone_who_waits() -> None:
    coalescer, work = Coalescer(), Work(ValueError("broken"))
    work.gate.set()
    outcomes = await asyncio.gather(*[coalescer.run("key", work) for _ in range(2)], return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["broken", "broken"]


async def test_the_work_survives_the_caller_that_began_it_and_ends_with_the_last() -> None:
    coalescer, work = Coalescer(), Work()
    first, second = (asyncio.create_task(coalescer.run("key", work)) for _ in range(2))
    await work.started.wait()
    first.cancel()
    await asyncio.wait([first])
    assert not work.cancelled
    second.cancel()
    await asyncio.wait([second])
    assert work.cancelled


async def test_the_first_failure_cancels_the_rest_and_is_raised_as_it_is() -> None:
    endless, failing = Work(), Work(ValueError("broken"))

    async def fail_when_both_run() -> None:
        await endless.started.wait()
        failing.gate.set()

    with pytest.raises(ValueError, match="broken"):
        await all_of([endless(), failing(), fail_when_both_run()])
    assert endless.cancelled
