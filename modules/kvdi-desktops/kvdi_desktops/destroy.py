"""`destroy`: forget what this deployment used and, when asked to, delete what nobody uses any more."""

import boto3

from .owner import desktops_owner
from .settings import Parameters
from .shared.release import release
from .shared.settings import load


def destroy() -> int:
    """Release what this deployment uses; `retention-type` decides what becomes of it."""
    seedfarmer, parameters = load(Parameters)
    owner = desktops_owner(seedfarmer.project_name)
    release(boto3.Session(), seedfarmer, owner, parameters.retention_type)
    return 0
