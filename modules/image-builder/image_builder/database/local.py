"""SQLite: each transaction is done as a whole in a thread.

A driver for asyncio hands every single step of a statement to a thread and back. A transaction of a job had
more than a hundred such changes, which took most of its time on a busy machine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection

from .address import DatabaseAddress

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]

READERS = 4  # connections that read at the same time
BUSY_WAIT = 30_000  # milliseconds until another process has to be done writing


class LocalDatabase:
    """A file of SQLite: one thread writes, since there is one writer at a time anyway, and a few read."""

    def __init__(self, address: DatabaseAddress) -> None:
        self._reader = _engine(address, READERS, "BEGIN")
        self._writer = _engine(address, 1, "BEGIN IMMEDIATE")
        self._reading = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._writing = ThreadPoolExecutor(1, "sqlite-writer")

    async def read(self, work: Work[Result]) -> Result:
        """What `work` reads, in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, _whole, self._reader, work)

    async def write(self, work: Work[Result]) -> Result:
        """What `work` writes and returns, committed."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, _whole, self._writer, work)

    async def close(self) -> None:
        """Close all connections, after what is being done."""
        for threads, engine in ((self._writing, self._writer), (self._reading, self._reader)):
            await asyncio.to_thread(threads.shutdown)
            engine.dispose()


class _HereAndNow:
    """What work uses of an asynchronous connection, on one that is not: nothing has to be waited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    async def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def run_sync(self, work: Callable[..., Result], *arguments: object) -> Result:
        return work(self._connection, *arguments)


def _whole(engine: Engine, work: Work[Result]) -> Result:
    """One transaction, from its beginning to its end."""
    with engine.begin() as connection:
        return _at_once(work, cast(AsyncConnection, _HereAndNow(connection)))


def _at_once(work: Work[Result], connection: AsyncConnection) -> Result:
    """Run what waits for nothing but such a connection.

    Raises:
        RuntimeError: it waits for something else.
    """

    async def awaited() -> Result:
        return await work(connection)

    running = awaited()
    try:
        running.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    running.close()
    raise RuntimeError("a transaction waits for something else than its database")


def _engine(address: DatabaseAddress, size: int, begin: str) -> Engine:
    engine = create_engine(
        address.url.set(drivername="sqlite+pysqlite"),
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False},  # a connection is one thread's at a time
        hide_parameters=True,
    )
    _prepare(engine, begin)
    return engine


def _prepare(engine: Engine, begin: str) -> None:
    """Write-ahead log, every commit on the disk, and transactions that begin when we say so."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None
        cursor = connection.cursor()
        for statement in (
            f"PRAGMA busy_timeout = {BUSY_WAIT}",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
        ):
            cursor.execute(statement)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql(begin)
