"""What stops a start."""

from __future__ import annotations


class StartError(Exception):
    """The session cannot be started; the text names what was given and says what to do."""
