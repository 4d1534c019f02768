"""A stream read ahead of its consumer, by a task that surely ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType

_AHEAD = 2  # chunks that are read before the consumer wants them


class Pump:
    """Hands on a stream through a bounded queue; an asynchronous context manager.

    The HTTP library may abandon a body in the middle of reading it. The queue it can abandon; the
    stream behind is closed when the context ends. Nothing is read before the first chunk is wanted.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_AHEAD)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._items()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _items(self) -> AsyncIterator[bytes]:
        self._task = asyncio.create_task(self._read())
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def _read(self) -> None:
        try:
            async with aclosing(self._chunks):
                async for chunk in self._chunks:
                    await self._queue.put(chunk)
        except Exception as error:
            await self._queue.put(error)
        else:
            await self._queue.put(None)
