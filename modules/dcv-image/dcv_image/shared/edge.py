"""The outermost layer of every command: from an exception to one message and an exit status."""

import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from .errors import UserError

INTERRUPTED = 130


def run(command: Callable[[], int]) -> int:
    """Run `command`; what the user can act on ends in one line on stderr and a non-zero status."""
    try:
        return command()
    except UserError as error:
        return _fail(str(error), error.exit_status)
    except ClientError as error:
        return _fail(_aws_message(error), 1)
    except BotoCoreError as error:
        return _fail(f"AWS could not be reached: {error}", 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the next run continues where this one stopped", INTERRUPTED)


def _aws_message(error: ClientError) -> str:
    detail = error.response.get("Error", {})
    return f"AWS refused {error.operation_name}: {detail.get('Code', '?')}: {detail.get('Message', '')}"


def _fail(message: str, status: int) -> int:
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)
    return status
