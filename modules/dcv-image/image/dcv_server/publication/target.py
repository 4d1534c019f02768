"""One target's own thread: it verifies, writes, and tries again, whatever other targets do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from .errors import PublicationError
from .state import TargetState

VERIFY_SECONDS = 2.0  # between two verifications of a target that is right
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 4.0


class Target(Protocol):
    """Where values are published."""

    name: str

    def ensure(self, values: Mapping[str, str]) -> None:
        """Write the values unless they are there; raises PublicationError when they are not there."""


class TargetLoop:
    """Keeps one target at the values that are wanted."""

    def __init__(self, target: Target, log: Callable[[str], None]) -> None:
        self._target = target
        self._log = log
        self._change = threading.Condition()
        self._wanted: Mapping[str, str] | None = None
        self._verified_at: float | None = None
        self._problem: str | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin. The thread ends with the process, also when the target hangs."""
        threading.Thread(target=self._run, name=self._target.name, daemon=True).start()

    def want(self, values: Mapping[str, str]) -> None:
        """Publish these values from now on; other values than before are published at once."""
        with self._change:
            if values == self._wanted:
                return
            self._wanted = dict(values)
            self._verified_at = None
            self._failures = 0
            self._change.notify()

    def state(self) -> TargetState:
        """What is known now."""
        with self._change:
            return TargetState(self._target.name, self._verified_at, self._problem)

    def _run(self) -> None:
        wanted = self._next(None, None)
        while True:
            wanted = self._next(wanted, self._attempt(wanted))

    def _next(self, done: Mapping[str, str] | None, seconds: float | None) -> Mapping[str, str]:
        """What is wanted after a wait, which other values end."""
        with self._change:
            self._change.wait_for(lambda: self._wanted is not done, seconds)
            assert self._wanted is not None  # noqa: S101 - once wanted, something stays wanted
            return self._wanted

    def _attempt(self, wanted: Mapping[str, str]) -> float:
        """Make the target right; return the seconds until the next attempt."""
        begun = time.monotonic()
        try:
            self._target.ensure(wanted)
        except PublicationError as error:
            return self._failed(str(error))
        except Exception as error:  # a surprise must not end the retries
            return self._failed(f"unexpected: {error!r}")
        return self._succeeded(wanted, begun)

    def _succeeded(self, wanted: Mapping[str, str], begun: float) -> float:
        with self._change:
            if wanted is self._wanted:
                if self._verified_at is None or self._problem:
                    self._log(f"published {wanted} to {self._target.name}")
                self._verified_at, self._problem, self._failures = begun, None, 0
        return VERIFY_SECONDS

    def _failed(self, problem: str) -> float:
        with self._change:
            if problem != self._problem:
                self._log(f"cannot publish to {self._target.name}, trying again: {problem}")
            self._problem = problem
            self._failures += 1
            return retry_seconds(self._failures)


def retry_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row: doubled each time, up to a bound.

    Half of it is left to chance, so that pods that lost the same target do not come back as one.
    """
    longest = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_RETRY_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
