"""One command at a time changes a local cloud."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LocalCloudError
from .layout import Layout


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold the local cloud; the kernel releases it when the process ends, however it ends.

    Raises:
        LocalCloudError: another command holds it; names its process.
    """
    layout.state.mkdir(parents=True, exist_ok=True)
    with (layout.state / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise LocalCloudError(
                f"another ./scripts/local command works here (process {holder}); wait for it, or end it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
