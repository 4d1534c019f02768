"""Who owns what this module makes outside its stack."""

from .shared.ownership import Owner


def desktops_owner(project: str) -> Owner:
    """Owner of the repositories of desktop images."""
    return Owner(project, "kvdi-desktops")
