"""Lines for a build's log."""

import time


class Progress:
    """Prints lines with the time since the run began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line at once, so that a log shows where a run is."""
        print(f"[{time.monotonic() - self._began:7.1f}s] {text}", flush=True)


def readable_size(count: int) -> str:
    """Bytes for people: `12.3 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
