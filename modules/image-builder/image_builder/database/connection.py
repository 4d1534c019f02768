"""Connections to the database: transactions that survive an outage, and bad news without details."""

import asyncio
import copy
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ..waiting import to_its_end
from .address import DatabaseAddress
from .local import LocalDatabase

Result = TypeVar("Result")

POOL_SIZE = 10  # connections per process
POOL_WAIT = 5.0  # seconds until a connection has to be free
CONNECT_WAIT = 5.0  # seconds until a server has to answer
RETRY_DELAY = (0.05, 1.0)  # seconds: the first delay and the longest

log = logging.getLogger(__name__)


class DatabaseUnavailableError(Exception):
    """The database did not answer for as long as the service is patient."""


class Database:
    """One database; every unit of work is a function of a connection and one transaction."""

    def __init__(self, address: DatabaseAddress, patience: timedelta = timedelta()) -> None:
        self.address = address
        self._patience = patience.total_seconds()
        self._server = None if address.is_sqlite else _engine(address)
        self._local = LocalDatabase(address) if address.is_sqlite else None

    async def read(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """What `work` reads. Repeated while the database is away.

        Raises:
            DatabaseUnavailableError: it was away for longer than the service is patient.
        """
        return await self._patiently(lambda: self._read_once(work))

    async def write(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """What `work` writes and returns, committed. Repeated while the database is away.

        A connection that breaks during a commit leaves open whether it happened: `work` must be right when
        it runs a second time after a first that was committed.

        Raises:
            DatabaseUnavailableError: the database was away for longer than the service is patient.
        """
        return await self._patiently(lambda: self.write_once(work))

    async def write_once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """`write` with a single try."""
        if self._local:
            return await to_its_end(self._local.write(work))
        return await self._once(work)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction of a database server, without a second try, for as long as the block takes."""
        async with self._connected.begin() as connection:
            yield connection

    def impatient(self) -> "Database":
        """The same database, with the same connections, tried only once."""
        copied = copy.copy(self)
        copied._patience = 0
        return copied

    async def close(self) -> None:
        """Close all connections."""
        if self._local:
            await self._local.close()
        if self._server:
            await self._server.dispose()

    async def _read_once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        if self._local:
            return await to_its_end(self._local.read(work))
        return await self._once(work)

    async def _once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        async with self._connected.begin() as connection:
            return await work(connection)

    @property
    def _connected(self) -> AsyncEngine:
        assert self._server is not None, "the database is a file"  # noqa: S101
        return self._server

    async def _patiently(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        deadline = time.monotonic() + self._patience
        delay, longest = RETRY_DELAY
        while True:
            try:
                return await attempt()
            except Exception as error:
                if not is_outage(error):
                    raise
                if time.monotonic() + delay > deadline:
                    raise DatabaseUnavailableError("the database does not answer") from None
                log.warning("the database does not answer (%s); trying again", type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, longest)


# MySQL's numbers for: lock wait timeout, deadlock; too many connections, and of a user; server is shutting
# down, gone, lost, unreachable.
_MYSQL_OUTAGES = {1205, 1213, 1040, 1203, 1053, 1927, 2002, 2003, 2006, 2013, 2014}
# PostgreSQL's classes for: connection, serialization and deadlock, no room, shut down or starting.
_POSTGRES_OUTAGES = ("08", "40", "53", "57P")


def is_outage(error: BaseException) -> bool:
    """Whether the same work may succeed later: the connection broke, or the server asks to try again."""
    if isinstance(error, PoolTimeoutError | OSError | asyncio.TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0] in _MYSQL_OUTAGES
    code = str(getattr(error.orig, "sqlstate", None) or "")
    if code:
        return code.startswith(_POSTGRES_OUTAGES)
    if isinstance(error, OperationalError):
        text = str(error.orig)
        return any(part in text for part in ("locked", "unable to open", "disk I/O", "readonly"))
    return isinstance(error, InterfaceError)


def _engine(address: DatabaseAddress) -> AsyncEngine:
    waits: dict[str, Any] = (
        {"timeout": CONNECT_WAIT, "command_timeout": 30}
        if address.url.drivername.startswith("postgresql")
        else {"connect_timeout": CONNECT_WAIT, "charset": "utf8mb4"}
    )
    return create_async_engine(
        address.url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_WAIT,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        connect_args=waits,
        hide_parameters=True,
    )
