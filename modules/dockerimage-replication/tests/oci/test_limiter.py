"""How much a host is asked: more while it keeps up, less when it does not, and never out of turn.

All of it in a time of its own: nothing here waits.
"""

import asyncio
from collections import deque
from itertools import pairwise

import pytest
from dockerimage_replication.oci.errors import (
    NotFound,
    RegistryError,
    Retryable,
    TooManyRequests,
    Unavailable,
)
from dockerimage_replication.oci.limiter import LaneLimiter
from dockerimage_replication.oci.retry import RetryPolicy
from hypothesis import given, settings
from hypothesis import strategies as st

from .fake_time import run

QUICK = 0.01  # seconds that a host without load takes


def limiter(most: int = 128) -> LaneLimiter:
    return LaneLimiter(most, longest_wait=120.0)


def now() -> float:
    return asyncio.get_running_loop().time()


def refused(retry_after: float | None = None) -> TooManyRequests:
    return TooManyRequests("", status=429, retry_after=retry_after)


def test_requests_that_find_the_lane_full_make_it_wider_up_to_the_limit() -> None:
    async def work() -> None:
        lane, most, running = limiter(100), 0, 0

        async def request() -> None:
            nonlocal most, running
            async with lane.place():
                running += 1
                most = max(most, running)
                await asyncio.sleep(QUICK)
                running -= 1
                lane.answered(QUICK)

        assert lane.limit == 64
        await asyncio.gather(*[request() for _ in range(1000)])
        assert most == lane.limit == 100
        assert now() < 0.2

    run(work())


def test_a_lane_that_is_not_full_stays_as_it_is() -> None:
    async def work() -> None:
        lane = limiter()
        for _ in range(100):
            async with lane.place():
                lane.answered(QUICK)
        assert lane.limit == 64

    run(work())


@pytest.mark.parametrize(("error", "limit"), [(refused(), 32), (Unavailable("", status=503), 51)])
def test_a_failure_narrows_the_lane_once_for_all_that_were_under_way(error: Retryable, limit: int) -> None:
    async def work() -> None:
        lane = limiter()
        for _ in range(64):
            lane.failed(error)
        assert lane.limit == limit
        await asyncio.sleep(1)
        lane.failed(error)
        assert lane.limit < limit
        for _ in range(100):
            await asyncio.sleep(1)
            lane.failed(error)
        assert lane.limit == 1

    run(work())


def test_errors_that_say_nothing_about_load_change_nothing() -> None:
    async def work() -> None:
        lane = limiter()
        given_up = refused()
        given_up.given_up = True
        for error in (NotFound("", status=404), RegistryError("", status=400), given_up):
            lane.failed(error)
        assert lane.limit == 64

    run(work())


async def begin_of_each(lane: LaneLimiter, count: int) -> list[float]:
    moments: list[float] = []

    async def one() -> None:
        await lane.turn()
        moments.append(now())

    await asyncio.gather(*[one() for _ in range(count)])
    return moments


def test_after_a_429_requests_are_spaced_out_until_all_goes_well_for_a_while() -> None:
    async def work() -> None:
        lane = limiter()
        assert await begin_of_each(lane, 5) == [0] * 5
        for _ in range(64):  # refused together: that is one reason, not 64
            lane.failed(refused())
        moments = await begin_of_each(lane, 5)
        assert moments == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])
        for _ in range(200):
            lane.answered(QUICK)
        await asyncio.sleep(1)
        assert len(set(await begin_of_each(lane, 5))) == 1

    run(work())


def test_an_error_of_the_server_does_not_space_requests_out() -> None:
    async def work() -> None:
        lane = limiter()
        lane.failed(Unavailable("", status=500))
        assert await begin_of_each(lane, 5) == [0] * 5

    run(work())


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_the_host_asks_for_holds_for_the_whole_lane(status: int) -> None:
    async def work() -> None:
        lane = limiter()
        kind = TooManyRequests if status == 429 else Unavailable
        lane.failed(kind("", status=status, retry_after=17.0))
        assert min(await begin_of_each(lane, 5)) == 17

    run(work())


def test_it_holds_for_those_who_waited_for_their_turn_already() -> None:
    async def work() -> None:
        lane = limiter()
        lane.failed(refused())
        waiting = asyncio.create_task(begin_of_each(lane, 10))
        await asyncio.sleep(0.05)
        lane.failed(refused(30.0))
        moments = await waiting
        assert [moment for moment in moments if 0.05 < moment < 30.05] == []
        assert moments == sorted(moments)
        after = [moment for moment in moments if moment >= 30.05]
        assert len(after) == 7
        assert min(right - left for left, right in pairwise(after)) > 0.019

    run(work())


def test_a_wait_that_is_longer_than_anybody_waits_is_not_waited_for() -> None:
    """Else one hour of Docker Hub would hang all the others, and only the first would say so."""

    async def work() -> None:
        lane = limiter()
        lane.failed(refused(3600.0))
        assert max(await begin_of_each(lane, 3)) < 1

    run(work())


def test_a_host_that_becomes_slow_is_asked_less_and_more_again_when_it_is_quick() -> None:
    async def work() -> None:
        lane = limiter()
        lane.answered(QUICK)
        for _ in range(100):
            await asyncio.sleep(1)
            lane.answered(2.0)
        assert lane.limit == 1
        for _ in range(100):
            async with lane.place():
                lane.answered(QUICK)
        assert lane.limit > 1

    run(work())


def test_time_that_content_takes_is_no_sign_of_load() -> None:
    async def work() -> None:
        lane = limiter()
        lane.answered(QUICK)
        for _ in range(100):
            await asyncio.sleep(2)
            lane.answered(None)
        assert lane.limit == 64

    run(work())


def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    async def work() -> None:
        lane, served = limiter(2), list[int]()

        async def request(number: int) -> None:
            async with lane.place():
                served.append(number)
                await asyncio.sleep(QUICK)
            if number < 20:
                asyncio.get_running_loop().call_soon(served.append, -1)
                await request(number + 100)  # whoever comes back queues up again

        await asyncio.gather(*[request(number) for number in range(30)])
        numbers = [number for number in served if number >= 0]
        assert numbers == [*range(30), *range(100, 120)]

    run(work())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=12), st.integers(1, 3))
def test_whoever_gives_up_waiting_takes_no_place_along(cancelled: list[tuple[int, int]], most: int) -> None:
    async def work() -> None:
        lane, running, highest = limiter(most), 0, 0

        async def request() -> None:
            nonlocal running, highest
            async with lane.place():
                running += 1
                highest = max(highest, running)
                try:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                finally:
                    running -= 1

        tasks = [asyncio.create_task(request()) for _ in range(10)]
        plan = deque(sorted(cancelled, key=lambda entry: entry[1]))
        for step in range(31):
            await asyncio.sleep(0)
            while plan and plan[0][1] == step:
                tasks[plan.popleft()[0]].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert highest <= most
        await asyncio.gather(*[request() for _ in range(10)])  # hangs if a place was lost
        assert running == 0

    run(work())


class Host:
    """A host that takes so many requests at a time and so many a second."""

    def __init__(self, at_once: int, per_second: float) -> None:
        self.refused = self.done = 0
        self._at_once, self._per_second = at_once, per_second
        self._running, self._left, self._at = 0, per_second, 0.0

    async def request(self) -> None:
        self._left = min(self._per_second, self._left + (now() - self._at) * self._per_second)
        self._at = now()
        if self._running >= self._at_once or self._left < 1:
            self.refused += 1
            raise refused()
        self._left -= 1
        self._running += 1
        await asyncio.sleep(0.02)
        self._running -= 1
        self.done += 1


@settings(max_examples=40)
@given(st.integers(1, 100), st.integers(2, 500))
def test_a_host_with_any_limit_is_used_well_and_refuses_nobody_for_ever(at_once: int, rate: int) -> None:
    count = 300

    async def work() -> tuple[Host, float]:
        host, lane, policy = Host(at_once, rate), limiter(), RetryPolicy()

        async def send() -> None:
            async with lane.place():
                await lane.turn()
                begin = now()
                try:
                    await host.request()
                except TooManyRequests as error:
                    lane.failed(error)
                    raise
                lane.answered(now() - begin)

        await asyncio.gather(*[policy.run(send) for _ in range(count)])
        return host, now()

    host, seconds = run(work())
    ideal = max(count / min(rate, at_once / 0.02), 1.0)
    assert host.done == count
    assert seconds < 6 * ideal + 30
    assert host.refused < 2 * count
