"""The registries in the database; their passwords are encrypted."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.connection import Database
from ..database.tables import jobs, registries
from .encryption import Keyring
from .users import NameTakenError, NotFoundError


@dataclass(frozen=True)
class Registry:
    """A registry without its password."""

    id: uuid.UUID
    registry_name: str
    registry_uri: str
    registry_user: str


_COLUMNS = [registries.c[name] for name in Registry.__dataclass_fields__]


class Registries:
    """Reads and writes registries."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def find(self, condition: Mapping[str, Any]) -> Registry:
        """The registry whose columns have these values (the first by name).

        Raises:
            NotFoundError: there is none.
        """
        row = await self._row(condition)
        return Registry(row.id, row.registry_name, row.registry_uri, row.registry_user)

    async def with_password(self, registry_name: str) -> tuple[Registry, str]:
        """A registry and its password.

        Raises:
            NotFoundError: there is none.
            UnknownKeyError: its key is not among the settings' keys.
        """
        row = await self._row({"registry_name": registry_name})
        registry = Registry(row.id, row.registry_name, row.registry_uri, row.registry_user)
        return registry, self._keyring.decrypt(row.encrypted_password)

    async def create(self, name: str, uri: str, user: str, password: str) -> Registry:
        """Add a registry.

        Raises:
            NameTakenError: another one has the name.
        """
        registry = Registry(uuid.uuid4(), name, uri, user)
        row = {**vars(registry), "encrypted_password": self._keyring.encrypt(password)}

        async def work(connection: AsyncConnection) -> None:
            known = select(registries.c.id).where(registries.c.id == registry.id)
            if (await connection.execute(known)).first() is None:
                await connection.execute(insert(registries).values(row))

        await self._named(name, work)
        return registry

    async def change(
        self, registry_id: uuid.UUID, values: Mapping[str, Any], password: str | None
    ) -> Registry:
        """Change a registry's columns, and its password unless it is None.

        Raises:
            NotFoundError: there is no such registry.
            NameTakenError: another one has the name.
        """
        changes = dict(values)
        if password is not None:
            changes["encrypted_password"] = self._keyring.encrypt(password)

        async def work(connection: AsyncConnection) -> None:
            await _must_exist(connection, registry_id)
            if changes:
                change = update(registries).where(registries.c.id == registry_id).values(changes)
                await connection.execute(change)

        await self._named(str(changes.get("registry_name")), work)
        return await self.find({"id": registry_id})

    async def remove(self, registry_id: uuid.UUID) -> None:
        """Remove a registry.

        Raises:
            NotFoundError: there is no such registry.
        """

        async def work(connection: AsyncConnection) -> None:
            await _must_exist(connection, registry_id)
            await connection.execute(delete(registries).where(registries.c.id == registry_id))

        await self._database.write(work)

    async def rotate(self) -> int:
        """Encrypt everything under the first key; how many credentials there were.

        Raises:
            UnknownKeyError: one of them is under a key that is not among the settings' keys.
        """

        async def work(connection: AsyncConnection) -> int:
            count = 0
            for table, column in (
                (registries, registries.c.encrypted_password),
                (jobs, jobs.c.encrypted_target),
            ):
                found = await connection.execute(select(table.c.id, column).where(column.is_not(None)))
                for row_id, encrypted in found.all():
                    change = update(table).where(table.c.id == row_id, column == encrypted)
                    await connection.execute(change.values({column.name: self._keyring.rotate(encrypted)}))
                    count += 1
            return count

        return await self._database.write(work)

    async def _row(self, condition: Mapping[str, Any]) -> Row[*tuple[Any, ...]]:
        query = select(*_COLUMNS, registries.c.encrypted_password).order_by(registries.c.registry_name)
        for name, value in condition.items():
            query = query.where(registries.c[name] == value)

        async def work(connection: AsyncConnection) -> Row[*tuple[Any, ...]]:
            row = (await connection.execute(query.limit(1))).one_or_none()
            if row is None:
                raise NotFoundError("there is no such registry")
            return row

        return await self._database.read(work)

    async def _named(self, name: str, work: Any) -> None:  # noqa: ANN401
        try:
            await self._database.write(work)
        except IntegrityError:
            raise NameTakenError(f"there is a registry {name!r} already") from None


async def _must_exist(connection: AsyncConnection, registry_id: uuid.UUID) -> None:
    found = await connection.execute(select(registries.c.id).where(registries.c.id == registry_id))
    if found.first() is None:
        raise NotFoundError("there is no such registry")
