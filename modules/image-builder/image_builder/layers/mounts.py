"""What a command may have mounted while it runs (BuildKit's Dockerfile reference, RUN --mount).

buildah before 1.35.1 has the kernel follow links in a mount's source, out of the image and to files of the
service (CVE-2024-1753). So a source is never a path in which a command, or somebody's image, may have put
one.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from .fields import Alias, MountWord, Permissions

MAX_TMPFS = 1024  # MiB that the tmpfs mounts of a build may take at a time

_Id = Annotated[int, Field(ge=0, le=2**32 - 2)]


class _Mount(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(source: str | None, target: str) -> None:
    """Refuse a source within an image.

    Raises:
        ValueError: a part of an image cannot be mounted.
    """
    if source not in (None, "/"):
        path = f"{target.rstrip('/')}/{source.lstrip('/')}"
        raise ValueError(f"source: an image is mounted whole; leave it out, and use {path} in the command")


class BindMount(_Mount):
    """Files of the request, or all those of an image or another stage, without a copy in the image."""

    mount_type: Literal["bind"] = "bind"
    target: MountWord
    source: MountWord | None = None
    from_layer: MountWord | None = None
    enable_readonly: StrictBool | None = None
    enable_readwrite: StrictBool | None = None

    @model_validator(mode="after")
    def _leads_nowhere_else(self) -> Self:
        if self.from_layer is not None:
            _whole(self.source, self.target)
        elif self.enable_readwrite:
            raise ValueError(
                "enable_readwrite: files of the request are mounted to be read; copy them to change them"
            )
        return self


class CacheMount(_Mount):
    """A folder that stays out of the image; builds of this service do not share it."""

    mount_type: Literal["cache"] = "cache"
    target: MountWord
    id: Alias | None = None
    source: MountWord | None = None
    from_layer: MountWord | None = None
    enable_readonly: StrictBool | None = None
    enable_readwrite: StrictBool | None = None
    sharing: Literal["shared", "private", "locked"] | None = None
    mode: Permissions | None = None
    user_id: _Id | None = None
    group_id: _Id | None = None

    @model_validator(mode="after")
    def _leads_nowhere_else(self) -> Self:
        _whole(self.source, self.target)
        return self


class TmpfsMount(_Mount):
    """Memory that stays out of the image; it has a bound of its own, since a build's memory leaves it out."""

    mount_type: Literal["tmpfs"] = "tmpfs"
    target: MountWord
    size: Annotated[StrictInt, Field(ge=1, le=MAX_TMPFS, description="MiB")] = 64


Mount = Annotated[BindMount | CacheMount | TmpfsMount, Field(discriminator="mount_type")]
