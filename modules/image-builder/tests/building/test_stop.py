"""Work in threads, which somebody may tell to end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from image_builder.building.stop import Stop, StoppedError


async def test_long_work_takes_no_thread_of_what_is_short() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    begun, end = threading.Event(), threading.Event()

    def long() -> str:
        begun.set()
        assert end.wait(60)
        return "long"

    builds = [asyncio.create_task(Stop().run(long)) for _ in range(3)]
    assert await asyncio.wait_for(asyncio.to_thread(begun.wait, 60), 60)

    assert await asyncio.wait_for(asyncio.to_thread(lambda: "short"), 60) == "short"
    end.set()
    assert await asyncio.gather(*builds) == ["long"] * 3


async def test_a_caller_that_is_cancelled_waits_for_the_end() -> None:
    stop, begun, ended = Stop(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                stop.check()
        except StoppedError:
            ended.set()
            raise

    task = asyncio.create_task(stop.run(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
