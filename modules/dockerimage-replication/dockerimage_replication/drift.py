"""The `drift` command: what has changed at sources and destination since the lock was written."""

import asyncio

from .comparison import Difference, all_differences, at_destination, at_source, report
from .locked import Locked, LockOptions, open_lock
from .oci.transport import Transport


def drift(options: LockOptions, *, as_json: bool) -> int:
    """Print what has changed; the exit status is 1 when something has.

    Raises:
        UserError: the lock cannot be had.
    """
    locked = open_lock(options)
    return report(locked, asyncio.run(_differences(locked)), as_json=as_json)


async def _differences(locked: Locked) -> list[Difference]:
    async with Transport(endpoints=locked.endpoints, credentials=locked.credentials) as transport:
        return await all_differences([*at_source(transport, locked), *at_destination(transport, locked.lock)])
