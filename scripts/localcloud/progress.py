"""Progress on the terminal: each step with the time since the start, and where the time went."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """Prints steps as they happen and remembers how long each took.

    Attributes:
        stream: where the lines go.
        started: monotonic time of the command's start, in seconds.
        durations: (step, seconds) in the order in which the steps ended.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    started: float = field(default_factory=time.monotonic)
    durations: list[tuple[str, float]] = field(default_factory=list)

    def say(self, message: str) -> None:
        """One line, with the time since the start."""
        print(f"[{time.monotonic() - self.started:6.1f}s] {message}", file=self.stream, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, and its duration when it ended well."""
        self.say(name)
        begun = time.monotonic()
        yield
        self.took(name, time.monotonic() - begun)

    def took(self, name: str, seconds: float) -> None:
        """Remember a duration that was measured elsewhere."""
        self.durations.append((name, seconds))

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started
