"""The one kind of error that ends a maintenance script."""

import sys
from collections.abc import Callable


class CollectionError(Exception):
    """Something the user can put right: the text says what is wrong and what to do.

    Attributes:
        exit_status: status that the script ends with.
    """

    exit_status = 1


class UsageError(CollectionError):
    """What was asked for cannot be done; nothing was touched."""

    exit_status = 2


def run(command: Callable[[], int]) -> int:
    """Run `command`; a `CollectionError` ends in one message on stderr and its status."""
    try:
        return command()
    except CollectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
