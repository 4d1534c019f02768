"""Credentials of registries: encrypted at rest, and their key can be changed."""

import secrets

import pytest
from image_builder.accounts.encryption import Keyring, UnknownKeyError
from image_builder.accounts.registries import Registries
from image_builder.accounts.users import NotFoundError
from image_builder.database.connection import Database
from image_builder.database.tables import registries
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)


async def test_a_password_is_encrypted_in_the_database(database: Database) -> None:
    kept = Registries(database, Keyring([OLD]))

    await kept.create("team", "r.example.com", "robot", "canary-password")

    async def read(connection: AsyncConnection) -> str | None:
        return (await connection.execute(select(registries.c.encrypted_password))).scalar()

    stored = await database.read(read)
    assert stored is not None
    assert "canary" not in stored
    assert (await kept.with_password("team"))[1] == "canary-password"


async def test_keys_are_changed_without_a_moment_when_none_is_right(database: Database) -> None:
    await Registries(database, Keyring([OLD])).create("team", "r.example.com", "robot", "canary-password")
    both = Registries(database, Keyring([NEW, OLD]))
    assert (await both.with_password("team"))[1] == "canary-password"

    assert await both.rotate() == 1

    assert (await Registries(database, Keyring([NEW])).with_password("team"))[1] == "canary-password"
    with pytest.raises(UnknownKeyError):
        await Registries(database, Keyring([OLD])).with_password("team")


async def test_without_the_old_key_nothing_is_changed(database: Database) -> None:
    await Registries(database, Keyring([OLD])).create("team", "r.example.com", "robot", "canary-password")

    with pytest.raises(UnknownKeyError):
        await Registries(database, Keyring([NEW])).rotate()

    assert (await Registries(database, Keyring([OLD])).with_password("team"))[1] == "canary-password"


async def test_names_differ_by_case(database: Database) -> None:
    kept = Registries(database, Keyring([OLD]))
    await kept.create("team", "r.example.com", "", "")

    with pytest.raises(NotFoundError):
        await kept.with_password("TEAM")
