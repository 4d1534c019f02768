"""Slows down who guesses passwords, in all processes of the service alike."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database.clock import now_ms
from ..database.connection import Database
from ..database.tables import login_failures

FREE_TRIES_AT_ONE_PLACE = 5  # failures of one name from one address that cost nothing
FREE_TRIES_ELSEWHERE = 50  # failures of one name from anywhere, or of one address with any name
LONGEST_WAIT = 900_000  # milliseconds
FREE_AGAIN_AFTER = 3_600_000  # milliseconds in which all free tries come back, evenly
FORGET_AFTER = 3_600_000  # milliseconds without a further failure


@dataclass(frozen=True)
class _Counter:
    """What failures are counted of.

    Attributes:
        who: key of the row.
        free: failures that cost nothing.
    """

    who: str
    free: int

    def faded(self, since: int, until: int) -> int:
        """Failures that are forgiven between two times.

        One at every full interval of the clock: so nothing is lost, however often the row is written.
        """
        interval = FREE_AGAIN_AFTER // self.free
        return max(0, until // interval - since // interval)


@dataclass(frozen=True)
class _State:
    """A counter as it is now; None for `last_at` when there is no row."""

    failures: int
    last_at: int | None
    now: int

    def wait(self, free: int) -> int:
        """Milliseconds until the next try."""
        if self.last_at is None or self.failures < free:
            return 0
        pause = min(1000 << min(self.failures - free, 20), LONGEST_WAIT)
        return max(0, pause - (self.now - self.last_at))


class Throttle:
    """After some failures each further one doubles the time until the next try; failures fade."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, username: str, address: str) -> int:
        """Count a try before it is made; milliseconds to wait when it must not be made now, else 0.

        Tries count at once, so that many at the same moment are no way around the limit.
        """

        async def work(connection: AsyncConnection) -> int:
            counters = _counters(username, address)
            states = [await _state(connection, counter) for counter in counters]
            wait = max(state.wait(counter.free) for counter, state in zip(counters, states, strict=True))
            if not wait:
                for counter, state in zip(counters, states, strict=True):
                    await _count(connection, counter.who, state)
            return wait

        try:
            return await self._database.write(work)
        except IntegrityError:  # somebody's first failure was counted at the same moment
            return await self._database.write(work)

    async def succeeded(self, username: str, address: str) -> None:
        """Forget the failures of this name at this address, and take back the try elsewhere.

        All that are old enough are removed too: names that were only guessed must not fill the table.
        """
        at_one_place, *elsewhere = [counter.who for counter in _counters(username, address)]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(login_failures).where(login_failures.c.who == at_one_place))
            fewer = update(login_failures).where(
                login_failures.c.who.in_(elsewhere), login_failures.c.failures > 0
            )
            await connection.execute(fewer.values(failures=login_failures.c.failures - 1))
            old = delete(login_failures).where(login_failures.c.last_at < now_ms() - FORGET_AFTER)
            await connection.execute(old)

        await self._database.write(work)


def _counters(username: str, address: str) -> list[_Counter]:
    return [
        _Counter(_hashed("both", username, address), FREE_TRIES_AT_ONE_PLACE),
        _Counter(_hashed("name", username), FREE_TRIES_ELSEWHERE),
        _Counter(_hashed("address", address), FREE_TRIES_ELSEWHERE),
    ]


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def _state(connection: AsyncConnection, counter: _Counter) -> _State:
    columns = (login_failures.c.failures, login_failures.c.last_at, now_ms())
    query = select(*columns).where(login_failures.c.who == counter.who).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return _State(0, None, (await connection.execute(select(now_ms()))).scalar_one())
    failures, last_at, now = row
    if now - last_at > FORGET_AFTER:
        return _State(0, last_at, now)
    return _State(max(0, failures - counter.faded(last_at, now)), last_at, now)


async def _count(connection: AsyncConnection, who: str, state: _State) -> None:
    values = {"failures": state.failures + 1, "last_at": state.now}
    if state.last_at is None:
        await connection.execute(insert(login_failures).values(who=who, **values))
    else:
        await connection.execute(update(login_failures).where(login_failures.c.who == who).values(values))
