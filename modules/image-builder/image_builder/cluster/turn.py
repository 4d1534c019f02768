"""One replica at a time, by a lock of the database that ends with its holder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.connection import Database

_LOCK = 2278_0002  # PostgreSQL's advisory locks are numbers, of each database
_NAME = "CONCAT('image-builder-', SHA1(DATABASE()))"  # MySQL's are names, of the whole server
# A holder that is silent for longer (its machine is gone) loses the lock.
SILENCE = 60  # seconds


@asynccontextmanager
async def turn(database: Database) -> AsyncIterator[bool]:
    """Whether it is our turn; nobody else has one until the block ends."""
    async with database.transaction() as connection:
        if connection.dialect.name == "postgresql":
            yield await _postgresql(connection)
            return
        mine = await _mysql(connection)
        try:
            yield mine
        finally:
            if mine:
                await connection.execute(text(f"SELECT RELEASE_LOCK({_NAME})"))
                await connection.execute(text("SET SESSION wait_timeout = DEFAULT"))


async def _postgresql(connection: AsyncConnection) -> bool:
    await connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{SILENCE}s'"))
    asked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:id)"), {"id": _LOCK})
    return bool(asked.scalar_one())


async def _mysql(connection: AsyncConnection) -> bool:
    asked = await connection.execute(text(f"SELECT GET_LOCK({_NAME}, 0)"))
    if not asked.scalar_one():
        return False
    await connection.execute(text(f"SET SESSION wait_timeout = {SILENCE}"))
    return True
