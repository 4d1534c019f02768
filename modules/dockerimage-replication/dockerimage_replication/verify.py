"""The `verify` command: is everything that the lock and the inventory name at the destination?"""

import asyncio

from .comparison import Difference, all_differences, at_destination, attached, existing, report
from .lock import Lock
from .locked import Locked, LockOptions, open_lock
from .oci.transport import Transport


def verify(options: LockOptions, *, as_json: bool) -> int:
    """Print what is missing or different at the destination; the exit status is 1 when something is.

    Raises:
        UserError: the lock cannot be had.
    """
    locked = open_lock(options)
    return report(locked, asyncio.run(_differences(locked)), as_json=as_json)


async def _differences(locked: Locked) -> list[Difference]:
    lock = locked.lock
    async with Transport(endpoints=locked.endpoints, credentials=locked.credentials) as transport:
        return await all_differences(
            [
                *at_destination(transport, lock),
                *attached(transport, lock),
                *existing(transport, references(lock) - lock.digests.keys()),
            ]
        )


def references(lock: Lock) -> set[str]:
    """Every private image that charts and their installers are told to use."""
    named: set[str] = set()
    for key in ("images", "additional_images"):
        images = (lock.inventory or {}).get(key)
        if isinstance(images, dict):
            named.update(image for image in images.values() if isinstance(image, str))
    return named
