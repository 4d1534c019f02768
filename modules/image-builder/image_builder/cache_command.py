"""`image-builder cache`: what the builds of this machine keep for later ones, and making room."""

from dataclasses import replace

from .building import BuildSettings
from .building.tidying import tidy_up
from .cached import entries


def show(settings: BuildSettings) -> int:
    """Print every entry, that which goes first at the top, and the sum."""
    found = entries(settings.cache)
    for entry in found:
        print(f"{entry.size:>14}  {entry.path.relative_to(settings.cache)}")
    print(f"{sum(entry.size for entry in found):>14}  bytes in all; the limit is {settings.cache_size}")
    return 0


async def trim(settings: BuildSettings, size: int | None) -> int:
    """Remove what was not used for the longest time, until `size` bytes, or the limit, are left."""
    tidied = await tidy_up(settings if size is None else replace(settings, cache_size=size))
    print(f"removed {len(tidied.gone)} entries, {sum(entry.size for entry in tidied.gone)} bytes")
    print(f"{tidied.left} bytes are left; what running builds use stays")
    return 0
