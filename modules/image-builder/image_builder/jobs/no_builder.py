"""In the place of a builder where nothing is built: commands on the database alone."""

import asyncio

from .builder import Builder, BuildFailedError, Built, Order, Progress


class NoBuilder(Builder):
    """Refuses every order."""

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        """Refuse."""
        raise BuildFailedError("this process builds nothing")
