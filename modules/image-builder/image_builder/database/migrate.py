"""Brings a database to the tables that this version of the service needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .connection import Database

_LOCK = 2278_0001  # PostgreSQL's advisory locks are numbers
_LOCK_NAME = "image-builder-migration"
_LOCK_WAIT = 60  # seconds


async def upgrade(database: Database) -> None:
    """Make the steps that are missing. Two processes that do it at once are one after the other."""

    async def work(connection: AsyncConnection) -> None:
        await _lock(connection)
        try:
            await connection.run_sync(_upgrade)
        finally:
            await _unlock(connection)

    await database.write(work)


async def is_current(database: Database) -> bool:
    """Whether the database has exactly the tables of this version."""
    return await database.read(lambda connection: connection.run_sync(_is_current))


async def _lock(connection: AsyncConnection) -> None:
    match connection.dialect.name:
        case "postgresql":  # until the transaction ends
            await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK})
        case "mysql" | "mariadb":
            parameters = {"name": _LOCK_NAME, "wait": _LOCK_WAIT}
            await connection.execute(text("SELECT GET_LOCK(:name, :wait)"), parameters)
        case _:  # SQLite: BEGIN IMMEDIATE is the lock
            pass


async def _unlock(connection: AsyncConnection) -> None:
    if connection.dialect.name in ("mysql", "mariadb"):
        await connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_current(connection: Connection) -> bool:
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
