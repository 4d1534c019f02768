"""`python -m dockerimage_replication`: what the deployspec calls."""

import argparse
from collections.abc import Callable

from .shared.edge import run


def main() -> int:
    """Parse the command line and run a command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m dockerimage_replication", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "deploy",
        help="replicate the images and charts of the data files, and upload the inventory",
    ).set_defaults(command=_deploy)
    commands.add_parser(
        "destroy",
        help="release what this deployment uses; with retention-type DESTROY delete what nobody uses",
    ).set_defaults(command=_destroy)
    command: Callable[[], int] = parser.parse_args().command
    return run(command)


def _deploy() -> int:
    from .replicate import deploy  # the HTTP client is slow to load, and `destroy` does without

    return deploy()


def _destroy() -> int:
    from .cleanup import destroy

    return destroy()
