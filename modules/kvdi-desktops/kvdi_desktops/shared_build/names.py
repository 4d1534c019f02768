"""Names that a manifest gives: of a repository, of an image, and of the inventory."""

import re

# Amazon ECR API reference, CreateRepository: pattern and length of repositoryName.
_REPOSITORY_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_REPOSITORY_NAME = re.compile(rf"(?:{_REPOSITORY_PART}/)*{_REPOSITORY_PART}")
_REPOSITORY_LENGTH = range(2, 257)

# An image reference as the distribution project defines it; a leading `-` would be an engine option.
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?"
    rf"(?:{_PATH_PART}/)*{_PATH_PART}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)

# Without `s3://`: the roles' templates write it into ARNs as it stands.
_INVENTORY_PATH = re.compile(r"[^/:\s]+/[^/\s]\S*")


def checked_repository_name(value: str) -> str:
    """The name itself.

    Raises:
        ValueError: no ECR repository can be called that.
    """
    if len(value) not in _REPOSITORY_LENGTH or not _REPOSITORY_NAME.fullmatch(value):
        raise ValueError(
            "is no name for an ECR repository (2 to 256 of a-z, 0-9 and single . _ - / between them): "
            f"{value!r}"
        )
    return value


def checked_image_reference(value: str, example: str) -> str:
    """The reference itself.

    Raises:
        ValueError: it is none; the message shows the example.
    """
    if not _IMAGE_REFERENCE.fullmatch(value):
        raise ValueError(f"must be an image reference such as {example}, not {value!r}")
    return value


def checked_inventory_path(value: str) -> str:
    """The path itself.

    Raises:
        ValueError: it names no object in S3.
    """
    if not _INVENTORY_PATH.fullmatch(value):
        raise ValueError(f"must be an S3 path of the form bucket/key, without `s3://`, not {value!r}")
    return value
