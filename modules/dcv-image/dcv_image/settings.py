"""The module's parameters."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from .locations import SHA256, checked_location
from .shared.settings import CommonParameters
from .shared_build.names import checked_image_reference, checked_inventory_path, checked_repository_name

# Newest server that the vendor's download page had in October 2025.
DEFAULT_DCV_VERSION = "2025.0-20103"
VENDOR = "https://d1uj6qtbmh3dt5.cloudfront.net"
DEFAULT_BASE_IMAGE = "public.ecr.aws/amazonlinux/amazonlinux:2023"

# AWS Secrets Manager API reference, CreateSecret: characters and length of Name.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

_DCV_VERSION = re.compile(r"[0-9]{4}\.[0-9]+-[0-9]+")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")


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
    dcv_version: str = Field(
        default=DEFAULT_DCV_VERSION,
        description="Version of the DCV server, as it stands in the names of the vendor's archives.",
    )
    dcv_archive: str | None = Field(
        default=None,
        description="The vendor's archive `nice-dcv-<version>-<system>-<architecture>.tgz`: an https "
        "address, `s3://bucket/key`, or the path of a file inside the module. Default: the vendor's own "
        "address for the base image's system and architecture.",
    )
    dcv_archive_sha256: str = Field(
        description="SHA-256 of that archive, as you have verified it; see *Pins*.",
    )
    dcv_signing_key: str = Field(
        default=f"{VENDOR}/NICE-GPG-KEY",
        description="The public key that the archive's packages are signed with; the same forms as "
        "`dcv-archive`.",
    )
    dcv_signing_key_fingerprint: str = Field(
        description="Fingerprint of that key (40 hexadecimal digits), as you have verified it; see *Pins*.",
    )
    dcv_unsigned_deb: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="Ubuntu and Debian only. `accept`: a .deb that carries no signature is installed, on the "
        "word of `dcv-archive-sha256` alone. A wrong signature is refused either way.",
    )
    aws_cli_archive: str | None = Field(
        default=None,
        description="Archive of the AWS CLI version 2, `awscli-exe-linux-<architecture>-<version>.zip`; "
        "the same forms as `dcv-archive`. Default: none; the image then has the CLI that "
        "`image/requirements.txt` pins, from the package index.",
    )
    aws_cli_archive_sha256: str | None = Field(
        default=None,
        description="SHA-256 of that archive; required with it.",
    )
    os_packages_mirror: str | None = Field(
        default=None,
        description="Package sources that replace the base image's own during the build: a file in the "
        "format of `/etc/apt/sources.list`, or a `.repo` file for dnf and yum; the same forms as "
        "`dcv-archive`. It may hold credentials: it comes into no layer. Sources by https need a base image "
        "that has `ca-certificates`.",
    )

    @field_validator("dcv_ecr_repository_name")
    @classmethod
    def _repository_name_is_valid(cls, value: str) -> str:
        return checked_repository_name(value)

    @field_validator("dcv_sm_name")
    @classmethod
    def _secret_name_is_valid(cls, value: str) -> str:
        if not _SECRET_NAME.fullmatch(value):
            raise ValueError(f"must be the name of a secret (A-Z, a-z, 0-9 and /_+=.@-), not {value!r}")
        return value

    @field_validator("replicated_ecr_images_metadata_s3_path")
    @classmethod
    def _inventory_path_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_inventory_path(value)

    @field_validator("dcv_version")
    @classmethod
    def _version_is_valid(cls, value: str) -> str:
        if not _DCV_VERSION.fullmatch(value):
            raise ValueError(f"must be of the form {DEFAULT_DCV_VERSION}, not {value!r}")
        return value

    @field_validator("dcv_archive", "dcv_signing_key", "aws_cli_archive", "os_packages_mirror")
    @classmethod
    def _location_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_location(value)

    @field_validator("dcv_archive_sha256", "aws_cli_archive_sha256")
    @classmethod
    def _checksum_is_valid(cls, value: str | None) -> str | None:
        if value is not None and not SHA256.fullmatch(value.lower()):
            raise ValueError(f"must be 64 hexadecimal digits, not {value!r}")
        return value.lower() if value else value

    @field_validator("dcv_signing_key_fingerprint")
    @classmethod
    def _fingerprint_is_valid(cls, value: str) -> str:
        digits = "".join(value.split()).upper()
        if not _FINGERPRINT.fullmatch(digits):
            raise ValueError(f"must be 40 hexadecimal digits, not {value!r}")
        return digits

    @model_validator(mode="after")
    def _archive_has_its_checksum(self) -> Self:
        if self.aws_cli_archive and not self.aws_cli_archive_sha256:
            raise ValueError("`aws-cli-archive` is given without `aws-cli-archive-sha256`")
        return self

    def archive_for(self, system: str, architecture: str) -> str:
        """Where the archive for a system and an architecture is, both as the vendor names them."""
        if self.dcv_archive:
            return self.dcv_archive
        name = f"nice-dcv-{self.dcv_version}-{system}-{architecture}.tgz"
        return f"{VENDOR}/{self.dcv_version.partition('-')[0]}/Servers/{name}"

    @field_validator("base_image")
    @classmethod
    def _base_image_is_valid(cls, value: str) -> str:
        return checked_image_reference(value, DEFAULT_BASE_IMAGE)
