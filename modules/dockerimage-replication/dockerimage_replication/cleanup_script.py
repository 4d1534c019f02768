"""What `delete_images.py` and `delete_repos.py` share: arguments, the printed plan, and the question."""

import argparse
from collections.abc import Callable

from .aws import Aws
from .cleanup import Cleaner, Plan
from .shared.edge import run

Planner = Callable[[Cleaner, str | None], Plan]


def main(description: str, planner: Planner) -> int:
    """Parse the arguments and clean up; the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("project", help="name of the SeedFarmer project")
    parser.add_argument("--deployment", help="release what this deployment uses first")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()
    return run(lambda: _clean_up(arguments, planner))


def _clean_up(arguments: argparse.Namespace, planner: Planner) -> int:
    cleaner = Cleaner(Aws.connect(), arguments.project)
    plan = planner(cleaner, arguments.deployment)
    lines = plan.lines()
    print("\n".join(lines or ["nothing to do"]), flush=True)
    if arguments.dry_run or not lines:
        return 0
    if not arguments.yes and not _confirmed():
        print("nothing was changed")
        return 1
    cleaner.execute(plan)
    return 0


def _confirmed() -> bool:
    try:
        return input("Do this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # no terminal: nobody has said yes
        return False
