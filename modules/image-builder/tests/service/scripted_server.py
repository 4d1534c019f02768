"""A service as its own process, with a builder that pushes into a file: what a kill -9 may hit.

Usage: scripted_server.py PORT PUSHES
"""

import asyncio
import hashlib
import os
import random
import sys
from pathlib import Path

from image_builder.jobs.builder import BuildCancelledError, BuildFailedError, Built, Order, Progress
from image_builder.jobs.job import Status
from image_builder.service import serve
from image_builder.service_settings import read_settings


class FileBuilder:
    """Takes a few moments for each step; the same request gives the same digest."""

    def __init__(self, pushes: Path) -> None:
        self._pushes = pushes
        self._dice = random.Random()  # noqa: S311  no secret

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        await progress.advance(Status.BUILDING)
        progress.log(f"building {order.request.name}\n")
        try:
            await asyncio.wait_for(cancel.wait(), self._dice.uniform(0, 0.2))
        except TimeoutError:
            pass
        else:
            raise BuildCancelledError
        if order.request.name.startswith("fails"):
            raise BuildFailedError("it was made to fail")
        digest = "sha256:" + hashlib.sha256(order.request.name.encode()).hexdigest()
        await progress.advance(Status.PUSHING, digest)
        with self._pushes.open("a") as file:
            file.write(f"{order.request.name} {digest}\n")
        await asyncio.sleep(self._dice.uniform(0, 0.05))
        return Built(digest, 1)


if __name__ == "__main__":
    asyncio.run(
        serve(read_settings(os.environ), FileBuilder(Path(sys.argv[2])), "127.0.0.1", int(sys.argv[1]))
    )
