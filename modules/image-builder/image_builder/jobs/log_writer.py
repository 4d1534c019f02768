"""Writes a job's log: what comes within a short time goes to the database together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from .storable import storable

GATHER = 0.2  # seconds that a line waits for others
CHUNK = 64 * 1024  # characters in one entry

HIDDEN = "********"


class LogWriter:
    """The log of one attempt. `run` has to be running; `close` writes what is left."""

    def __init__(self, append: Callable[[list[str]], Awaitable[None]], secrets: Sequence[str]) -> None:
        self._append = append
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._parts: list[str] = []
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()

    def log(self, text: str) -> None:
        """Add text; a secret in it is replaced."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        self._parts.append(storable(text))
        self._arrived.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(GATHER)
            await self.flush()

    async def flush(self) -> None:
        """Write what has come so far."""
        async with self.taken() as texts:
            if texts:
                await self._append(texts)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[list[str]]:
        """What has come so far, for the caller to write; nothing else is written meanwhile."""
        async with self._writing:
            text = "".join(self._parts)
            self._parts.clear()
            self._arrived.clear()
            yield [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
