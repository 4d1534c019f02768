"""The `delete-images` and `delete-repos` commands, which `delete_images.py` and `delete_repos.py` call."""

from typing import Literal

from .aws import Aws
from .cleanup import Cleaner, report, say, say_spared
from .consent import Consent


def clean_up(
    what: Literal["images", "repositories"], project: str, deployment: str | None, consent: Consent
) -> int:
    """Print the plan, ask, and carry it out; the exit status.

    Args:
        what: what is deleted.
        project: name of the SeedFarmer project.
        deployment: its use is released first.
        consent: whether to ask, and what to print.
    """
    cleaner = Cleaner(Aws.connect(), project)
    plan = cleaner.plan_images(deployment) if what == "images" else cleaner.plan_repositories(deployment)
    steps = plan.steps()
    if not consent.as_json:
        say(steps)
    wanted = bool(steps) and not consent.dry_run
    if wanted and not consent.given():
        print("nothing was changed")
        return 1
    spared = cleaner.execute(plan) if wanted else []
    if consent.as_json:
        print(report(plan, spared, done=wanted))
    else:
        say_spared(spared)
    return 0
