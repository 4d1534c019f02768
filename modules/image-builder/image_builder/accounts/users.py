"""The users in the database."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.clock import now_ms
from ..database.connection import Database
from ..database.tables import revoked_tokens, users


class NameTakenError(Exception):
    """Another one has this name."""


class NotFoundError(Exception):
    """There is none."""


class LastAdministratorError(Exception):
    """Nobody could administrate the service any more."""


@dataclass(frozen=True)
class User:
    """A user as the database has it."""

    id: uuid.UUID
    username: str
    first_name: str
    last_name: str
    email: str
    administrator: bool
    disabled: bool
    password_hash: str
    token_generation: int


@dataclass(frozen=True)
class Person:
    """What is said about a new user."""

    username: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    administrator: bool = False
    disabled: bool = False


_COLUMNS = [users.c[name] for name in User.__dataclass_fields__]


class Users:
    """Reads and writes users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_id(self, user_id: uuid.UUID) -> User:
        """The user.

        Raises:
            NotFoundError: there is none.
        """
        return await self._one(users.c.id == user_id)

    async def by_name(self, username: str) -> User:
        """The user.

        Raises:
            NotFoundError: there is none.
        """
        return await self._one(users.c.username == username)

    async def signed_in(self, user_id: uuid.UUID, generation: int, token_id: uuid.UUID) -> User | None:
        """The user of a token; None when the user is gone or disabled, or the token is revoked."""
        revoked = select(revoked_tokens.c.token_id).where(revoked_tokens.c.token_id == token_id)
        query = select(*_COLUMNS).where(
            users.c.id == user_id,
            users.c.token_generation == generation,
            users.c.disabled.is_(False),
            ~revoked.exists(),
        )

        async def work(connection: AsyncConnection) -> User | None:
            row = (await connection.execute(query)).one_or_none()
            return None if row is None else _user(row)

        return await self._database.read(work)

    async def create(self, person: Person, password_hash: str) -> User:
        """Add a user.

        Raises:
            NameTakenError: another user has the name.
        """
        user_id = uuid.uuid4()

        async def work(connection: AsyncConnection) -> None:
            if await _exists(connection, user_id):  # an earlier try was committed after all
                return
            await connection.execute(_insertion(user_id, person, password_hash))

        try:
            await self._database.write(work)
        except IntegrityError:
            raise NameTakenError(f"there is a user {person.username!r} already") from None
        return await self.by_id(user_id)

    async def create_first(self, person: Person, password_hash: str) -> bool:
        """Add the user unless there is one of that name; whether it was added."""
        try:
            await self.create(person, password_hash)
        except NameTakenError:
            return False
        return True

    async def are_there(self) -> bool:
        """Whether there is any user."""

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(select(users.c.id).limit(1))).first() is not None

        return await self._database.read(work)

    async def change(self, user_id: uuid.UUID, values: Mapping[str, Any]) -> User:
        """Change columns of one user. A new password, or being disabled, revokes all tokens.

        Raises:
            NotFoundError: there is no such user.
            NameTakenError: another user has the name.
            LastAdministratorError: no administrator would be left.
        """
        changes: dict[str, Any] = dict(values)
        if "password_hash" in changes or changes.get("disabled"):
            changes["token_generation"] = users.c.token_generation + 1

        async def work(connection: AsyncConnection) -> None:
            await _must_exist(connection, user_id)
            if changes:
                await connection.execute(update(users).where(users.c.id == user_id).values(changes))
            await _administrator_must_be_left(connection)

        try:
            await self._database.write(work)
        except IntegrityError:
            raise NameTakenError(f"there is a user {changes.get('username')!r} already") from None
        return await self.by_id(user_id)

    async def remove(self, user_id: uuid.UUID) -> None:
        """Remove a user.

        Raises:
            NotFoundError: there is no such user.
            LastAdministratorError: no administrator would be left.
        """

        async def work(connection: AsyncConnection) -> None:
            await _must_exist(connection, user_id)
            await connection.execute(delete(users).where(users.c.id == user_id))
            await _administrator_must_be_left(connection)

        await self._database.write(work)

    async def revoke(self, token_id: uuid.UUID, expires_at: int) -> None:
        """Make one token worthless; tokens that have expired are forgotten on the way."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(revoked_tokens).where(revoked_tokens.c.expires_at < now_ms()))
            known = select(revoked_tokens.c.token_id).where(revoked_tokens.c.token_id == token_id)
            if (await connection.execute(known)).first() is None:
                row = {"token_id": token_id, "expires_at": expires_at * 1000}
                await connection.execute(insert(revoked_tokens).values(row))

        await self._database.write(work)

    async def _one(self, condition: Any) -> User:  # noqa: ANN401  SQLAlchemy's own type is as wide
        async def work(connection: AsyncConnection) -> User:
            row = (await connection.execute(select(*_COLUMNS).where(condition))).one_or_none()
            if row is None:
                raise NotFoundError("there is no such user")
            return _user(row)

        return await self._database.read(work)


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(**row._mapping)


def _insertion(user_id: uuid.UUID, person: Person, password_hash: str) -> Any:  # noqa: ANN401
    return insert(users).values(
        id=user_id,
        username=person.username,
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        administrator=person.administrator,
        disabled=person.disabled,
        password_hash=password_hash,
        token_generation=0,
        created_at=now_ms(),
    )


async def _exists(connection: AsyncConnection, user_id: uuid.UUID) -> bool:
    found = await connection.execute(select(users.c.id).where(users.c.id == user_id))
    return found.first() is not None


async def _must_exist(connection: AsyncConnection, user_id: uuid.UUID) -> None:
    if not await _exists(connection, user_id):
        raise NotFoundError("there is no such user")


async def _administrator_must_be_left(connection: AsyncConnection) -> None:
    query = (
        select(func.count())
        .select_from(users)
        .where(users.c.administrator.is_(True), users.c.disabled.is_(False))
    )
    if (await connection.execute(query)).scalar_one() == 0:
        raise LastAdministratorError("the service needs an administrator who is not disabled")
