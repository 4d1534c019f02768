"""SQLite: a transaction is done as a whole, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from image_builder.database.address import parse_database_uri
from image_builder.database.local import LocalDatabase
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[LocalDatabase]:
    database = LocalDatabase(parse_database_uri(f"sqlite:///{tmp_path}/x"))
    await database.write(lambda connection: connection.execute(text("CREATE TABLE x (n INTEGER)")))
    yield database
    await database.close()


async def count(database: LocalDatabase) -> int:
    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(text("SELECT count(*) FROM x"))).scalar_one())

    return await database.read(work)


async def add(connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO x VALUES (1)"))


async def test_what_was_written_is_on_the_disk_and_is_read(database: LocalDatabase) -> None:
    async def settings(connection: AsyncConnection) -> list[object]:
        names = ("journal_mode", "synchronous")
        return [(await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in names]

    await asyncio.gather(*(database.write(add) for _ in range(20)))

    assert await count(database) == 20
    assert await database.write(settings) == ["wal", 2]  # 2 is FULL (sqlite.org/pragma.html)


async def test_a_failure_leaves_nothing(database: LocalDatabase) -> None:
    async def work(connection: AsyncConnection) -> None:
        await add(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write(work)
    assert await count(database) == 0


async def test_a_transaction_that_waits_for_something_else_is_refused(database: LocalDatabase) -> None:
    async def work(connection: AsyncConnection) -> None:
        await add(connection)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for something else"):
        await database.write(work)
    assert await count(database) == 0
