"""The module's parameters."""

import re

from pydantic import Field, field_validator

from .shared.settings import CommonParameters

DEFAULT_BASE_IMAGE = "public.ecr.aws/amazonlinux/amazonlinux:2023"

# Amazon ECR API reference, CreateRepository: pattern and length of repositoryName.
_REPOSITORY_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_REPOSITORY_NAME = re.compile(rf"(?:{_REPOSITORY_PART}/)*{_REPOSITORY_PART}")
_REPOSITORY_LENGTH = range(2, 257)

# AWS Secrets Manager API reference, CreateSecret: characters and length of Name.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

# An image reference as the distribution project defines it; a leading `-` would be an engine option.
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?"
    rf"(?:{_PATH_PART}/)*{_PATH_PART}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


class Parameters(CommonParameters):
    """What a manifest can say about the DCV image."""

    dcv_ecr_repository_name: str = Field(
        description="Name of the ECR repository that the image is published to.",
    )
    dcv_sm_name: str = Field(
        default="dcv-credentials",
        description="Name of the Secrets Manager secret with the session user's `UserName` and `Password`. "
        "The runtime policy allows reading this secret and no other.",
    )
    replicated_ecr_images_metadata_s3_path: str | None = Field(
        default=None,
        description="`S3FullPath` of `dockerimage-replication` (`bucket/key`). With it the base image is "
        "taken from its private copy; without it, from its public name.",
    )
    base_image: str = Field(
        default=DEFAULT_BASE_IMAGE,
        description="Public reference of the image to build on: Amazon Linux 2023 or 2, Ubuntu 22.04 or "
        "24.04, or Debian 12.",
    )
    create_repository: bool = Field(
        default=False,
        description="`true`: make the ECR repository when it does not exist.",
    )

    @field_validator("dcv_ecr_repository_name")
    @classmethod
    def _repository_name_is_valid(cls, value: str) -> str:
        if len(value) not in _REPOSITORY_LENGTH or not _REPOSITORY_NAME.fullmatch(value):
            raise ValueError(
                "is no name for an ECR repository (2 to 256 of a-z, 0-9 and single . _ - / between them): "
                f"{value!r}"
            )
        return value

    @field_validator("dcv_sm_name")
    @classmethod
    def _secret_name_is_valid(cls, value: str) -> str:
        if not _SECRET_NAME.fullmatch(value):
            raise ValueError(f"must be the name of a secret (A-Z, a-z, 0-9 and /_+=.@-), not {value!r}")
        return value

    @field_validator("replicated_ecr_images_metadata_s3_path")
    @classmethod
    def _inventory_path_is_valid(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(?:s3://)?[^/\s]+/\S+", value):
            raise ValueError(f"must be an S3 path of the form bucket/key, not {value!r}")
        return value

    @field_validator("base_image")
    @classmethod
    def _base_image_is_valid(cls, value: str) -> str:
        if not _IMAGE_REFERENCE.fullmatch(value):
            raise ValueError(f"must be an image reference such as {DEFAULT_BASE_IMAGE}, not {value!r}")
        return value
