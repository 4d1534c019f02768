"""The module's own work: what a stack cannot do, and what outlives it."""

import argparse
from collections.abc import Sequence

from .installation.install import install
from .installation.uninstall import uninstall
from .release.apply import apply
from .release.destroy import destroy
from .shared.edge import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 only when all of it succeeded."""
    parser = argparse.ArgumentParser(
        prog="python -m image_builder",
        description="The module's own work. Parameters come from SEEDFARMER_PARAMETER_* in the environment.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="publish the service's image and chart, and write module-outputs.json")
    commands.add_parser("install", help="install the chart on the cluster; see `release-to-eks`")
    commands.add_parser("uninstall", help="remove what `install` has made")
    commands.add_parser("destroy", help="release what this deployment uses; see `retention-type`")
    arguments = parser.parse_args(argv)
    chosen = {"apply": apply, "install": install, "uninstall": uninstall, "destroy": destroy}
    return run(chosen[arguments.command])
