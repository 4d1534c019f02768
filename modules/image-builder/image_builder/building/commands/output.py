"""What programs say, line by line, and never more than is kept."""

import asyncio
from collections.abc import Callable

_CHUNK = 64 * 1024
_LONGEST = 16 * 1024  # bytes of one line


class Output:
    """Splits a stream into lines; what goes beyond the limit is read and dropped.

    Args:
        on_line: gets each line, without its line break.
        limit: bytes that are given on.
    """

    def __init__(self, on_line: Callable[[str], None], limit: int) -> None:
        self._on_line = on_line
        self._left = limit
        self._limit = limit
        self._rest = b""

    async def drain(self, stream: asyncio.StreamReader | None) -> None:
        """Read a stream to its end."""
        while stream and (chunk := await stream.read(_CHUNK)):
            self._take(chunk)
        if self._rest:
            self._give(self._rest)

    def _take(self, chunk: bytes) -> None:
        if self._left <= 0:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._give(line)
        while len(self._rest) > _LONGEST:
            self._give(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]

    def _give(self, line: bytes) -> None:
        for start in range(0, max(1, len(line)), _LONGEST):
            if self._left <= 0:
                return
            part = line[start : start + _LONGEST]
            self._left -= len(part) + 1
            self._on_line(part.rstrip(b"\r").decode("utf-8", "replace"))
        if self._left <= 0:
            self._on_line(f"[the log ends here: it has more than {self._limit} bytes, the limit]")
