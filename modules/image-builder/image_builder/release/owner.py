"""Who owns what this module makes outside its stack."""

from ..shared.ownership import Owner
from ..shared.settings import SeedFarmerSettings

MODULE = "image-builder"


def service_owner(project: str) -> Owner:
    """Owner of the repositories of image and chart, which a project's deployments share."""
    return Owner(project, MODULE)


def images_owner(seedfarmer: SeedFarmerSettings) -> Owner:
    """Owner of the repositories of built images: one deployment alone, whose service makes them."""
    return Owner(seedfarmer.project_name, f"{MODULE}/{seedfarmer.deployment_name}/{seedfarmer.module_name}")
