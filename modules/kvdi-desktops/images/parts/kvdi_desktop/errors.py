"""What keeps a desktop from working, and how things are said in the container's log."""

import sys


class DesktopError(Exception):
    """The desktop cannot work; the text says why and what to do."""

    exit_status = 1


class ParameterError(DesktopError):
    """A variable of the container's environment has a value with which the desktop cannot work."""

    exit_status = 2


def say(text: str) -> None:
    """Write one line to the container's log."""
    print(f"kvdi-desktop: {text}", file=sys.stderr, flush=True)
