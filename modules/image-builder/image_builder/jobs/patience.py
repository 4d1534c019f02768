"""Work that has to be done, however long the database is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..database.connection import DatabaseUnavailableError

Result = TypeVar("Result")


async def insistently(work: Callable[[], Awaitable[Result]]) -> Result:
    """What `work` returns, tried until the database answers."""
    while True:
        try:
            return await work()
        except DatabaseUnavailableError:
            await asyncio.sleep(1)
