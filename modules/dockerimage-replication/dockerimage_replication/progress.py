"""How far a run is: lines for a build's log, and one live line on a terminal."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from .oci.meter import Meter
from .transfers import Transfers

_REDRAW = 0.2  # seconds between two looks at the meter
_CLEAR = "\r\x1b[K"  # to the first column, and erase the line (ECMA-48, EL)


class Progress:
    """Prints lines with the time since the run began, and below them, on a terminal, what is under way.

    The lines are the same everywhere, so a redirected log holds nothing else. The live line is drawn
    on stderr, without colours, if that is a terminal that can erase a line and this is no CI job; else
    a line says how far the run is, at most every 10 seconds and only while bytes arrive.

    Args:
        log: where lines go; stdout without it. Commands that print JSON there give stderr.
        screen: where the live line goes; stderr without it.
        clock: seconds, from any origin.
        environment: environment variables.
    """

    def __init__(
        self,
        *,
        log: TextIO | None = None,
        screen: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._log = log or sys.stdout
        self._screen = screen or sys.stderr
        self._live = _can_redraw(self._screen, environment)
        self._clock = clock
        self._began = clock()
        self._transfers: Transfers | None = None

    def say(self, text: str) -> None:
        """Print a line at once, so that a log shows where a run is."""
        self._erase()
        print(f"[{self._clock() - self._began:7.1f}s] {text}", file=self._log, flush=True)
        self._draw()

    def count(self) -> None:
        """One image or chart more is done."""
        if self._transfers:
            self._transfers.done += 1

    @asynccontextmanager
    async def transfers(self, meter: Meter, total: int = 0) -> AsyncIterator[None]:
        """Show how far `meter` and the `count` of `total` images and charts are, and sum up in the end."""
        self._transfers = transfers = Transfers(meter, total, self._clock())
        ticker = asyncio.create_task(self._tick_for_ever())
        try:
            yield
        finally:
            ticker.cancel()
            self._erase()
            self._transfers = None
            self.say(transfers.summary(self._clock()))

    def tick(self) -> None:
        """Look at the meter, and show what it says if it is time to."""
        if self._transfers is None:
            return
        now = self._clock()
        self._transfers.sample(now)
        if self._live:
            self._draw()
        elif self._transfers.is_worth_a_line(now):
            self.say(self._transfers.text())

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_REDRAW)
            self.tick()

    def _draw(self) -> None:
        if self._live and self._transfers:
            # One column stays free: a line that fills the last one goes on in the next line.
            room = _columns(self._screen) - 1
            text = self._transfers.text()
            whole = f"{self._transfers.bar()} {text}"
            shown = whole if len(whole) <= room else text[:room]
            print(f"{_CLEAR}{shown}", end="", file=self._screen, flush=True)

    def _erase(self) -> None:
        if self._live and self._transfers:
            print(_CLEAR, end="", file=self._screen, flush=True)


def _can_redraw(screen: TextIO, environment: Mapping[str, str]) -> bool:
    return screen.isatty() and not environment.get("CI") and environment.get("TERM", "dumb") != "dumb"


def _columns(screen: TextIO) -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(screen.fileno()).columns or 80
    return 80
