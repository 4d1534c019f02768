"""Waiting for what was begun, also when nobody wants it any more."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def _nothing() -> None:
    """What is begun cannot be told to end."""


async def to_its_end(work: Coroutine[Any, Any, Result], tell: Callable[[], None] = _nothing) -> Result:
    """Do work whose caller waits for its end even when it is cancelled.

    Args:
        work: what to do.
        tell: called at the cancellation, to have the work end soon.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        tell()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else will ask for it
        raise
