"""Running a program to its end, with its output kept for the message when it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import LocalCloudError

TAIL_LINES = 15


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command and return what it printed on stdout.

    Raises:
        LocalCloudError: it is not installed, or ended with another status than 0; with its last lines.
    """
    try:
        done = subprocess.run(
            command,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise LocalCloudError(f"the program `{command[0]}` is not installed") from None
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()[-TAIL_LINES:]
        shown = "\n".join(f"    {line}" for line in lines)
        raise LocalCloudError(f"`{' '.join(command)}` failed with status {done.returncode}:\n{shown}")
    return done.stdout
