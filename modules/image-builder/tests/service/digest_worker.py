"""A worker of its own: builds each request of standard input, and prints the digests.

Usage: digest_worker.py REGISTRY/PATH FOLDER SECONDS UMASK; SECONDS are added to the clock of this process.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from image_builder.building import BuildContext, Builder, BuildSettings
from image_builder.layers.request import ImageRequest, Registry


async def main(registry: str, folder: Path) -> list[str]:
    """Digests of all images."""
    settings = BuildSettings(
        work=folder / "work",
        cache=folder / "cache",
        registry=Registry(registry_url=f"http://{registry}"),
    )
    digests = []
    async with Builder(settings) as builder:
        for request in json.load(sys.stdin):
            order = ImageRequest.model_validate(request)
            log: list[str] = []
            try:
                result = await builder.build(order, BuildContext(), log.append, asyncio.Event())
            except Exception:
                print("\n".join(log), file=sys.stderr)
                raise
            digests.append(result.digest)
    return digests


def change_clock(seconds: float) -> None:
    """Have this process's Python read another time."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    os.umask(int(sys.argv[4], 8))
    change_clock(float(sys.argv[3]))
    print(json.dumps(asyncio.run(main(sys.argv[1], Path(sys.argv[2])))))
