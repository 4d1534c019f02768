"""What a command may have mounted while it runs (BuildKit's Dockerfile reference, RUN --mount)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from .fields import Alias, MountWord, Permissions

MAX_TMPFS = 1024  # MiB that the tmpfs mounts of a build may take at a time

_Id = Annotated[int, Field(ge=0, le=2**32 - 2)]


class _Mount(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BindMount(_Mount):
    """Files of the request, or of another stage, without a copy of them in the image."""

    mount_type: Literal["bind"] = "bind"
    target: MountWord
    source: MountWord | None = None
    from_layer: MountWord | None = None
    enable_readonly: StrictBool | None = None
    enable_readwrite: StrictBool | None = None


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


class TmpfsMount(_Mount):
    """Memory that stays out of the image; it has a bound of its own, since a build's memory leaves it out."""

    mount_type: Literal["tmpfs"] = "tmpfs"
    target: MountWord
    size: Annotated[StrictInt, Field(ge=1, le=MAX_TMPFS, description="MiB")] = 64


Mount = Annotated[BindMount | CacheMount | TmpfsMount, Field(discriminator="mount_type")]
