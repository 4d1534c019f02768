"""The module's command line."""

import argparse
from collections.abc import Sequence

from .apply import apply
from .destroy import destroy
from .shared.edge import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 only when all of it succeeded."""
    parser = argparse.ArgumentParser(prog="python -m kvdi_desktops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="build the images, publish them, and write module-outputs.json")
    commands.add_parser("destroy", help="release what this deployment uses; see `retention-type`")
    arguments = parser.parse_args(argv)
    return run({"apply": apply, "destroy": destroy}[arguments.command])
