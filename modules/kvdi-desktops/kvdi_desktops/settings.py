"""The module's parameters."""

from collections.abc import Mapping

from pydantic import Field, field_validator

from . import catalogue
from .catalogue import Catalogue, Image, SystemName
from .shared.errors import UserError
from .shared.settings import CommonParameters
from .shared_build.names import checked_image_reference, checked_inventory_path, checked_repository_name
from .shared_build.texts import checked_url, names_in

DEFAULT_IMAGES = "debian-supervisord-xfce4, debian-systemd-xfce4"
NOTHING = "names no image"


class Parameters(CommonParameters):
    """What a manifest can say about the desktop images."""

    images: str = Field(
        default=DEFAULT_IMAGES,
        description="Which images to build, with those that they stand on: a list of names, or of "
        "patterns such as `debian-*`.",
    )
    ecr_repository_prefix: str | None = Field(
        default=None,
        description="What the names of the ECR repositories begin with: `<prefix>/<image>`. Without it, "
        "`<project>-kvdi-desktops`. The repositories are made when they do not exist.",
    )
    replicated_ecr_images_metadata_s3_path: str | None = Field(
        default=None,
        description="`S3FullPath` of `dockerimage-replication` (`bucket/key`). With it the public bases are "
        "taken from their private copies; without it, from their public names.",
    )
    debian_base_image: str = Field(
        default="docker.io/library/debian:12-slim",
        description="Public reference that the images of the system `debian` are built on.",
    )
    ubuntu_base_image: str = Field(
        default="docker.io/library/ubuntu:24.04",
        description="Public reference that the images of the system `ubuntu` are built on.",
    )
    arch_base_image: str = Field(
        default="docker.io/library/archlinux:base",
        description="Public reference that the images of the system `arch` are built on.",
    )
    os_packages_mirror: str | None = Field(
        default=None,
        description="URL of a mirror of the systems' packages, for networks without internet access: it has "
        "Debian's at `debian` and `debian-security`, Ubuntu's at `ubuntu`, Arch's at `archlinux`. Without "
        "it, packages come from where the base image takes them. By https only with base images that have "
        "`ca-certificates`; signatures verify packages in any case.",
    )

    @field_validator("images")
    @classmethod
    def _images_exist(cls, value: str) -> str:
        try:
            Catalogue.load(catalogue.FOLDER).select(names_in(value, NOTHING))
        except UserError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("ecr_repository_prefix")
    @classmethod
    def _prefix_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_repository_name(value)

    @field_validator("replicated_ecr_images_metadata_s3_path")
    @classmethod
    def _inventory_path_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_inventory_path(value)

    @field_validator("debian_base_image", "ubuntu_base_image", "arch_base_image")
    @classmethod
    def _base_image_is_valid(cls, value: str) -> str:
        return checked_image_reference(value, "docker.io/library/debian:12-slim")

    @field_validator("os_packages_mirror")
    @classmethod
    def _mirror_is_valid(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @property
    def selected(self) -> list[Image]:
        """What to build, each image after the one that it stands on."""
        return Catalogue.load(catalogue.FOLDER).select(names_in(self.images, NOTHING))

    @property
    def bases(self) -> Mapping[SystemName, str]:
        """System -> public reference of its base."""
        return {
            "debian": self.debian_base_image,
            "ubuntu": self.ubuntu_base_image,
            "arch": self.arch_base_image,
        }

    def repository_prefix(self, project: str) -> str:
        """What the names of the repositories begin with."""
        return self.ecr_repository_prefix or f"{project}-kvdi-desktops"
