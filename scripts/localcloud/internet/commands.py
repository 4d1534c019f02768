"""Running other programs: found or explained, ended together with us, and never silently failed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence

from .errors import InternetError

TAIL_LINES = 15
SECONDS_TO_CLEAN_UP = 30.0


def find_tool(names: Sequence[str], packages: Sequence[str]) -> str:
    """Return the path of the first program found, or say which Debian packages have it."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise InternetError(
        f"{' or '.join(names)} is not installed; on Debian: apt-get install {' '.join(packages)}"
    )


def tail(text: str) -> str:
    """Return the last lines of a program's output, indented for a message."""
    lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (no output)"


async def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str]) -> None:
    """Run a program to its end; if we are interrupted first, let it clean up before we go on."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        _, stderr = await process.communicate(stdin.encode())
    except BaseException:
        await _end(process)
        raise
    if process.returncode != 0:
        message = tail(stderr.decode(errors="replace"))
        raise InternetError(f"`{' '.join(argv)}` failed with exit code {process.returncode}:\n{message}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program with all it started: as Ctrl-C in a terminal does, and later for certain."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        # communicate() also drains the pipe: a program that waits for it would never end.
        await asyncio.wait_for(process.communicate(), SECONDS_TO_CLEAN_UP)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
