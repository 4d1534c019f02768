"""The `verify` command: is everything that the lock, the inventory and the charts name at the destination?"""

import asyncio
import sys
from dataclasses import replace

from .comparison import Difference, all_differences, at_destination, attached, existing, report
from .lock import Lock
from .locked import Locked, LockOptions, open_lock
from .oci.transport import Transport
from .rendered import Rendered, render_charts


def verify(options: LockOptions, *, as_json: bool) -> int:
    """Print what is missing or different at the destination; the exit status is 1 when something is.

    What the charts render to is looked at where a helm is at hand; stderr says when it is not.

    Raises:
        UserError: the lock cannot be had, or the helm of `helm-distro-url`.
    """
    locked = open_lock(options)
    rendered, differences = asyncio.run(_differences(locked))
    if rendered.skipped:
        _say(rendered.skipped)
    helm = rendered.helm.version if rendered.helm else None
    proof = {"helm": helm, "skipped": rendered.skipped}
    return report(locked, differences, as_json=as_json, further={"proof": proof})


async def _differences(locked: Locked) -> tuple[Rendered, list[Difference]]:
    lock = locked.lock
    async with Transport(endpoints=locked.endpoints, credentials=locked.credentials) as transport:
        rendered = await render_charts(transport, locked, _say)
        named = references(lock) | rendered.places.keys()
        found = await all_differences(
            [
                *at_destination(transport, lock),
                *attached(transport, lock),
                *existing(transport, named - lock.digests.keys()),
            ]
        )
    placed = [_placed(difference, lock, rendered) for difference in found]
    return rendered, [*placed, *rendered.differences]


def references(lock: Lock) -> set[str]:
    """Every private image that charts and their installers are told to use."""
    named: set[str] = set()
    for key in ("images", "additional_images"):
        images = (lock.inventory or {}).get(key)
        if isinstance(images, dict):
            named.update(image for image in images.values() if isinstance(image, str))
    return named


def _placed(difference: Difference, lock: Lock, rendered: Rendered) -> Difference:
    """Say where a chart names the image that is missing."""
    private = difference.private
    if difference.what != "destination-missing" or private not in rendered.places:
        return difference
    why = difference.why
    if private not in references(lock) | lock.digests.keys():
        why = f"{private} does not exist, and the lock does not name it: add it to the data files"
    return replace(difference, why=f"{why} ({rendered.places[private]})")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
