"""Who owns what this module makes outside its stack."""

from .shared.ownership import Owner


def image_owner(project: str) -> Owner:
    """Owner of a repository that `create-repository` made."""
    return Owner(project, "dcv-image")
