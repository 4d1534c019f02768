"""When a request is tried again, and after how long."""

import random
from asyncio import sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from .errors import Retryable, Unreachable

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter; all times in seconds.

    Attributes:
        tries: how often a request is sent at most.
        tries_to_connect: how often, at most, while nobody answers at all.
        first_delay: upper bound of the first wait; it doubles with every try.
        longest_delay: upper bound of every wait that the registry did not ask for.
        longest_retry_after: a registry that asks for a longer wait is not waited for.
    """

    tries: int = 10
    tries_to_connect: int = 5
    first_delay: float = 0.5
    longest_delay: float = 8.0
    longest_retry_after: float = 120.0

    async def run(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Call `operation` until it succeeds; an error that an inner run gave up on is final.

        Raises:
            Retryable: the last try failed, or the registry asks for too long a wait.
        """
        attempts = Attempts(self)
        while True:
            try:
                return await operation()
            except Retryable as error:
                await attempts.failed(error)

    def jitter(self, tried: int) -> float:
        """Seconds to wait after so many tries."""
        bound = min(self.first_delay * 2 ** (tried - 1), self.longest_delay)
        return random.uniform(0, bound)  # noqa: S311 - spreads load, protects nothing


class Attempts:
    """Counts the tries of one piece of work.

    Args:
        policy: how many there may be, and how far apart.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._tried = 0

    async def failed(self, error: Retryable) -> None:
        """Wait before the next try.

        Raises:
            Retryable: `error`, when there is to be no other try.
        """
        self._tried += 1
        asked = error.retry_after or 0.0
        too_long = asked > self._policy.longest_retry_after
        unreachable = isinstance(error, Unreachable)
        most = self._policy.tries_to_connect if unreachable else self._policy.tries
        if error.given_up or self._tried >= most or too_long:
            error.given_up = True
            raise error
        await sleep(asked + self._policy.jitter(self._tried))

    def succeeded(self) -> None:
        """The work has got on: the next failure counts as the first."""
        self._tried = 0


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP date.

    A date in the past means 0; None for no header or one that is neither.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    import email.utils  # slow to load, and dates are rare

    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
