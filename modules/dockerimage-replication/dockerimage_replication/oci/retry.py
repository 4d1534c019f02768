"""When a request is tried again, and after how long."""

import email.utils
import random
from asyncio import sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from .errors import Retryable

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter; all times in seconds.

    Attributes:
        tries: how often a request is sent at most.
        first_delay: upper bound of the first wait; it doubles with every try.
        longest_delay: upper bound of every wait that the registry did not ask for.
        longest_retry_after: a registry that asks for a longer wait is not waited for.
    """

    tries: int = 5
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 120.0

    async def run(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Call `operation` until it succeeds; an error that an inner run gave up on is final.

        Raises:
            Retryable: the last try failed, or the registry asks for too long a wait.
        """
        tried = 0
        while True:
            try:
                return await operation()
            except Retryable as error:
                tried += 1
                asked = error.retry_after or 0.0
                if error.given_up or tried >= self.tries or asked > self.longest_retry_after:
                    error.given_up = True
                    raise
            await sleep(asked + self._jitter(tried))

    def _jitter(self, tried: int) -> float:
        bound = min(self.first_delay * 2 ** (tried - 1), self.longest_delay)
        return random.uniform(0, bound)  # noqa: S311 - spreads load, protects nothing


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): seconds or an HTTP date.

    A date in the past means 0; None for no header or one that is neither.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
