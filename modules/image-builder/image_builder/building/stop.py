"""How work in a thread learns that nobody wants it any more."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from ..waiting import to_its_end

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class StoppedError(Exception):
    """The work was told to end."""


class Stop:
    """Told once, asked often."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def tell(self) -> None:
        """Have the work end at its next question."""
        self._told.set()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            StoppedError: somebody has told the work to end.
        """
        if self._told.is_set():
            raise StoppedError

    async def run(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run work in a thread; a caller that is cancelled tells it to end, and waits for that.

        The thread is the work's own: it may take as long as a build, and the loop's few are for what is
        short, signing in for one.
        """
        threads = ThreadPoolExecutor(1, "build")
        try:
            return await to_its_end(_done_by(threads, partial(work, *args, **kwargs)), self.tell)
        finally:
            threads.shutdown(wait=False)


async def _done_by(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
