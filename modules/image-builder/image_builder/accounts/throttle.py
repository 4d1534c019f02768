"""Slows down who guesses passwords, in all processes of the service alike."""

import hashlib

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.clock import now_ms
from ..database.connection import Database
from ..database.tables import login_failures

FREE_TRIES_AT_ONE_PLACE = 5  # failures of one name from one address that cost nothing
FREE_TRIES_ELSEWHERE = 50  # failures of one name from anywhere, or of one address with any name
LONGEST_WAIT = 900_000  # milliseconds
FORGET_AFTER = 3_600_000  # milliseconds without a further failure


class Throttle:
    """After some failures each further one doubles the time until the next try."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, username: str, address: str) -> int:
        """Count a try before it is made; milliseconds to wait when it must not be made now, else 0.

        Tries count at once, so that many at the same moment are no way around the limit.
        """

        async def work(connection: AsyncConnection) -> int:
            waits = [await _wait(connection, who, free) for who, free in _counters(username, address)]
            if not any(waits):
                for who, _ in _counters(username, address):
                    await _count(connection, who)
            return max(waits)

        try:
            return await self._database.write(work)
        except IntegrityError:  # somebody's first failure was counted at the same moment
            return await self._database.write(work)

    async def succeeded(self, username: str, address: str) -> None:
        """Forget the failures of this name at this address, and take back the try elsewhere."""
        at_one_place, *elsewhere = [who for who, _ in _counters(username, address)]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(login_failures).where(login_failures.c.who == at_one_place))
            fewer = update(login_failures).where(
                login_failures.c.who.in_(elsewhere), login_failures.c.failures > 0
            )
            await connection.execute(fewer.values(failures=login_failures.c.failures - 1))

        await self._database.write(work)


def _counters(username: str, address: str) -> list[tuple[str, int]]:
    return [
        (_hashed("both", username, address), FREE_TRIES_AT_ONE_PLACE),
        (_hashed("name", username), FREE_TRIES_ELSEWHERE),
        (_hashed("address", address), FREE_TRIES_ELSEWHERE),
    ]


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def _wait(connection: AsyncConnection, who: str, free: int) -> int:
    query = select(login_failures.c.failures, now_ms() - login_failures.c.last_at).where(
        login_failures.c.who == who
    )
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None or row[0] < free:
        return 0
    pause = min(1000 * 2 ** min(row[0] - free, 20), LONGEST_WAIT)
    return int(max(0, pause - row[1]))


async def _count(connection: AsyncConnection, who: str) -> None:
    forgotten = delete(login_failures).where(
        login_failures.c.who == who, login_failures.c.last_at < now_ms() - FORGET_AFTER
    )
    await connection.execute(forgotten)
    more = update(login_failures).where(login_failures.c.who == who)
    changed = await connection.execute(more.values(failures=login_failures.c.failures + 1, last_at=now_ms()))
    if changed.rowcount == 0:
        await connection.execute(insert(login_failures).values(who=who, failures=1, last_at=now_ms()))
