"""How much a host is asked at a time, and how often: learned from what it answers.

One limiter per host, with a lane for each kind of request, because registries limit them apart (ECR
takes some ten manifests a second and hundreds of reads). In each lane the number of requests at a
time grows while the host keeps up, and falls when it answers 429 or 5xx or becomes slow; after a 429
the requests are also spaced out. A wait that the host asks for holds for its whole lane.
"""

import asyncio
from asyncio import sleep
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from .errors import RegistryError, TooManyRequests, Unavailable

_FIRST_LIMIT = 64.0  # requests at a time, before anything is known
_LEAST_INTERVAL = 0.001  # seconds between two requests, below which they are not spaced out
_FIRST_INTERVAL = 0.02
_LONGEST_INTERVAL = 2.0
_EASING = 0.97  # of the interval, with every success
_SLOW = 4.0  # times the shortest answer: the host has more than it can do
_SLOW_FROM = 0.25  # seconds; quicker answers are never slow
_SMOOTHING = 0.1


class Lane(Enum):
    """Kinds of requests that are limited apart.

    A transfer holds its place while it waits for a place to write, never the other way round, so
    that copies within one registry cannot wait for each other for ever.
    """

    READ = "read"
    TRANSFER = "transfer"
    WRITE = "write"
    MANIFEST = "manifest"


class LaneLimiter:
    """One lane of one host.

    Args:
        most: requests at a time that are never exceeded.
        longest_wait: seconds; a host that asks for a longer wait is not waited for.
    """

    def __init__(self, most: int, longest_wait: float) -> None:
        self._most = most
        self._longest_wait = longest_wait
        self._limit = min(float(most), _FIRST_LIMIT)
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._interval = 0.0  # seconds between the beginnings of two requests; 0 for none
        self._next = 0.0  # loop time before which no other request begins
        self._held = 0.0  # loop time until which the host wants nothing at all
        self._calm = 0.0  # loop time from which another failure lowers the limit again
        self._shortest = float("inf")  # seconds
        self._usual = 0.0  # seconds, smoothed

    @property
    def limit(self) -> int:
        """Requests that may run at a time now."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and keep it."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def turn(self) -> None:
        """Wait until another request may begin; a wait that the host asks for meanwhile counts too."""
        loop = asyncio.get_running_loop()
        while True:
            begin = max(loop.time(), self._next)
            if self._interval:
                self._next = begin + self._interval
            if begin > loop.time():
                await sleep(begin - loop.time())
            if begin >= self._held:
                return

    def answered(self, seconds: float | None) -> None:
        """The host has done its work, after so many seconds; None where they say nothing about its load."""
        self._interval = self._interval * _EASING if self._interval > _LEAST_INTERVAL else 0.0
        if seconds is not None:
            self._shortest = min(self._shortest, seconds)
            self._usual += (seconds - self._usual) * (_SMOOTHING if self._usual else 1.0)
        if self._usual > max(_SLOW_FROM, _SLOW * self._shortest):
            self._lower(0.9)
        elif self._running >= self.limit:
            self._limit = min(self._most, self._limit + 1.0)
            self._let_in()

    def failed(self, error: RegistryError) -> None:
        """The host has refused or failed; errors that say nothing about its load are ignored."""
        if not isinstance(error, TooManyRequests | Unavailable) or error.given_up:
            return  # or it is the error of another host, whose content was being sent to this one
        if error.retry_after and error.retry_after <= self._longest_wait:
            self._held = max(self._held, asyncio.get_running_loop().time() + error.retry_after)
            self._next = max(self._next, self._held)
        limited = isinstance(error, TooManyRequests)
        if self._lower(0.5 if limited else 0.8) and limited:
            self._interval = min(_LONGEST_INTERVAL, max(_FIRST_INTERVAL, self._interval * 1.5))

    def _lower(self, share: float) -> bool:
        """Lower the limit, once for all that were under way together; whether this was the time."""
        now = asyncio.get_running_loop().time()
        if now < self._calm:
            return False
        self._limit = max(1.0, self._limit * share)
        # Those whose turn is fixed already come as they would have come before.
        self._calm = max(now, self._next) + max(self._usual, 0.05)
        return True

    async def _enter(self) -> None:
        if self._running < self.limit and not self._waiting:
            self._running += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place  # whoever gives it has counted us already, so that nobody can slip in
        except asyncio.CancelledError:
            if place.cancelled():
                self._waiting = deque(other for other in self._waiting if other is not place)
            else:
                self._leave()
            raise

    def _leave(self) -> None:
        self._running -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._running < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                self._running += 1
