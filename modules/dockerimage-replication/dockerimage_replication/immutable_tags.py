"""What to do when a registry does not let a tag be moved."""

from .oci.errors import RegistryError

# ECR's answers to a push: the registry's code, and that of the API behind it (Amazon ECR user guide,
# Preventing image tags from being overwritten).
_CODES = frozenset({"TAG_INVALID", "ImageTagAlreadyExistsException"})


def explained(error: Exception) -> str:
    """The error's text, with the remedy when the tag is immutable and names another image."""
    if not isinstance(error, RegistryError) or error.code not in _CODES or "immutable" not in str(error):
        return str(error)
    return (
        f"{error}: the source's tag names another image than when it was replicated, and tags of the private "
        "repository are immutable. Name a tag that is not there yet in the data files, set the parameter "
        "`image-tag-mutability` to MUTABLE, or delete the old image from the repository"
    )
