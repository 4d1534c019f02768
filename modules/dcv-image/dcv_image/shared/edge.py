"""The outermost layer of every command: from an exception to one message and an exit status."""

import sys
from collections.abc import Callable

from .errors import UserError

INTERRUPTED = 130


def run(command: Callable[[], int]) -> int:
    """Run `command`; what the user can act on ends in one line on stderr and a non-zero status."""
    try:
        return command()
    except UserError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; the next run continues where this one stopped", INTERRUPTED)
    except Exception as error:
        message = _aws_message(error)
        if message is None:
            raise
        return _fail(message, 1)


def _aws_message(error: Exception) -> str | None:
    """What AWS, or the way to it, has to say; None for an error of our own."""
    if "botocore" not in sys.modules:  # nobody has spoken with AWS; an image may even lack the package
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        detail = error.response.get("Error", {})
        return f"AWS refused {error.operation_name}: {detail.get('Code', '?')}: {detail.get('Message', '')}"
    return f"AWS could not be reached: {error}" if isinstance(error, BotoCoreError) else None


def _fail(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)
    return status
