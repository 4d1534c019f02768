"""Why a value is not published."""

from __future__ import annotations


class PublicationError(Exception):
    """A target does not have the values; the text says why, in one line that holds no secret."""
