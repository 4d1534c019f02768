"""Work that several callers want at once is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass

Work = Coroutine[None, None, None]


@dataclass
class _Flight:
    task: asyncio.Task[None]
    waiting: int = 0


class Coalescer:
    """Runs one piece of work per key at a time; callers that come later wait for its end.

    The work goes on while anyone waits for it, whoever began it, and is cancelled with the last.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}

    async def run(self, key: Hashable, work: Callable[[], Work]) -> bool:
        """Wait for the work of `key`, and begin it with `work()` if it is not under way.

        Returns:
            Whether this call began it.

        Raises:
            Exception: what the work raised, for everyone who waits.
        """
        flight = self._flights.get(key)
        begins = flight is None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
        flight.waiting += 1
        try:
            await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                del self._flights[key]
                flight.task.cancel()
                await asyncio.wait([flight.task])
        return begins


async def all_of(works: Iterable[Work]) -> None:
    """Run all at once; the first failure cancels the others and is raised as it is.

    Raises:
        Exception: the first failure.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
