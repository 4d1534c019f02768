"""SeedFarmer's command line without its pause for IAM; SeedFarmer's own Python runs this file.

SeedFarmer 8.0.9 sleeps 12 s in every apply, so that policies which it has just attached take effect
(seedfarmer/commands/_stack_commands.py). An emulated account has nothing that takes effect later. Everything
else is SeedFarmer as it is.
"""

import sys
import time
from importlib import import_module
from types import SimpleNamespace

IAM_SECONDS = 12


def main() -> int:
    """Run SeedFarmer with this program's arguments; return its exit status."""
    sys.argv[0] = "seedfarmer"
    stacks = import_module("seedfarmer.commands._stack_commands")
    stacks.time = SimpleNamespace(sleep=_sleep)  # type: ignore[attr-defined]
    status: int = import_module("seedfarmer.__main__").main()
    return status


def _sleep(seconds: float) -> None:
    if seconds != IAM_SECONDS:
        time.sleep(seconds)


if __name__ == "__main__":
    sys.exit(main())
