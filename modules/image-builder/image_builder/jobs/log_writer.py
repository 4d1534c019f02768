"""Writes a job's log: what comes within a short time goes to the database together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

GATHER = 0.2  # seconds that a line waits for others
CHUNK = 64 * 1024  # characters in one entry
MOST_WAITING = 1024 * 1024  # characters; more, and the builder waits

HIDDEN = "********"


class LogWriter:
    """The log of one attempt. `run` has to be running; `close` writes what is left."""

    def __init__(self, append: Callable[[list[str]], Awaitable[None]], secrets: Sequence[str]) -> None:
        self._append = append
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._parts: list[str] = []
        self._size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writing = asyncio.Lock()

    async def log(self, text: str) -> None:
        """Add text; a secret in it is replaced. Waits while too much is unwritten."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        self._parts.append(_storable(text))
        self._size += len(text)
        self._arrived.set()
        if self._size > MOST_WAITING:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(GATHER)
            await self.flush()

    async def flush(self) -> None:
        """Write what has come so far."""
        async with self._writing:
            text = "".join(self._parts)
            self._parts.clear()
            self._arrived.clear()
            if text:
                await self._append([text[at : at + CHUNK] for at in range(0, len(text), CHUNK)])
            self._size = sum(map(len, self._parts))
            self._room.set()


def _storable(text: str) -> str:
    """Without what a database refuses: PostgreSQL has no NUL in texts, and none has half a surrogate."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
