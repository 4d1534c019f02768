"""`destroy`: forget what this deployment used and, when asked to, delete what nobody uses any more."""

import boto3

from ..settings import Parameters
from ..shared.ecr import delete_repository, owned_repositories
from ..shared.release import release
from ..shared.settings import load
from .owner import images_owner, service_owner


def destroy() -> int:
    """Release what this deployment uses; `retention-type` decides what becomes of it."""
    seedfarmer, parameters = load(Parameters)
    session = boto3.Session()
    if parameters.retention_type == "DESTROY":
        # Made by this deployment's service alone, so that nobody else's record names them.
        ecr = session.client("ecr")
        for name in list(owned_repositories(ecr, images_owner(seedfarmer), prefix="")):
            delete_repository(ecr, name)
            print(f"deleted: repository {name} of built images")
    release(session, seedfarmer, service_owner(seedfarmer.project_name), parameters.retention_type)
    return 0
