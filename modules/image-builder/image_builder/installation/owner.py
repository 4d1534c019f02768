"""Whom what is made on the cluster belongs to."""

from ..shared.settings import SeedFarmerSettings


def owner_of(seedfarmer: SeedFarmerSettings) -> str:
    """The deployment, as an annotation says it."""
    return f"{seedfarmer.project_name}/{seedfarmer.deployment_name}/{seedfarmer.module_name}"
