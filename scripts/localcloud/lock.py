"""One command at a time changes a local cloud."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LocalCloudError, UsageError
from .layout import Layout

# What `scripts/environment.sh` and `scripts/test` may put into the folder before a cloud is there.
OTHERS_OF_OURS = ("uv", "test-engine", "test-logs")


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold the local cloud; the kernel releases it when the process ends, however it ends.

    Raises:
        LocalCloudError: another command holds it; names its process.
    """
    layout.state.mkdir(parents=True, exist_ok=True)
    foreign = [path.name for path in layout.state.iterdir() if path.name not in OTHERS_OF_OURS]
    if foreign and not (layout.state / "lock").exists():
        raise UsageError(
            f"{layout.state} holds other things ({foreign[0]}) and no local cloud; "
            "set LOCAL_STATE_DIR to a new folder"
        )
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
