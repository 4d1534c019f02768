"""The commands of `dcv-image`: `run` for the container, `health` for probes, `status` for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

USAGE = "usage: dcv-image run | health [--ready] | status"


def main(arguments: Sequence[str]) -> int:
    """Run one command. No more is imported than it needs: a probe has to be quick."""
    if list(arguments) in (["health"], ["health", "--ready"]):
        return health("--ready" in arguments)
    if list(arguments) == ["status"]:
        return status()
    if list(arguments) == ["run"]:
        from .supervisor import supervise

        return supervise(os.environ)
    print(USAGE, file=sys.stderr)
    return 2


def health(ready: bool) -> int:
    """Say in one line whether the session can be used; the exit status says it too."""
    from .health import UnhealthyError, check

    try:
        session = check()
        if ready:
            from .readiness import check_ready

            check_ready(session, os.environ)
    except UnhealthyError as reason:
        print(f"unhealthy: {reason}", file=sys.stderr)
        return 1
    print(f"healthy: the session is valid and its display :{session.display} answers")
    return 0


def status() -> int:
    """Say what this image is, then its health."""
    import platform

    from .operating_system import pretty_name

    print(
        f"dcv-image: Amazon DCV session image on {pretty_name()}, Python {platform.python_version()}",
        flush=True,
    )
    return health(ready=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
