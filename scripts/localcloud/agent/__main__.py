"""The program `docker` that SeedFarmer finds first on PATH."""

import os
import sys

from . import settings
from .build import Build
from .call import is_agent_call, parse

PREFIX = "@build "


def main(arguments: list[str]) -> int:
    """Run the agent for SeedFarmer's call of it; pass every other call on to the real client."""
    agent = settings.read()
    if not is_agent_call(arguments):
        os.execv(agent.docker, [agent.docker, *arguments])  # noqa: S606  the real client
    succeeded = Build(parse(arguments), agent, _report).run()
    return 0 if succeeded else 1


def _report(message: str) -> None:
    print(f"{PREFIX}{message}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
