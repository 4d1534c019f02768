"""A whole order of an image."""

import base64
import binascii
import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    StrictStr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from .models import AnyLayer, Run, Stage
from .mounts import MAX_TMPFS, TmpfsMount

MAX_LAYERS = 500
MAX_FILES = 1000
MAX_INLINE = 8 * 1024 * 1024  # bytes of one file that is in the request itself; larger ones are uploaded
Digest = Annotated[StrictStr, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Mode = Annotated[StrictStr, Field(pattern=r"^[0-7]{3,4}$")]
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY_URL = re.compile(r"(?:https?://)?[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._/-]*)?")
_LONGEST_PATH, _LONGEST_NAME = 4096, 255  # bytes, as Linux has it (PATH_MAX, NAME_MAX)
_API_SEGMENT = re.compile(r"v[12]")


class InlineFile(BaseModel):
    """A small file for `copy` and `add`.

    Attributes:
        content: its content in base64.
        mode: its mode in octal digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: Annotated[StrictStr, Field(max_length=MAX_INLINE * 4 // 3 + 4)]
    mode: _Mode = "0644"

    @field_validator("content")
    @classmethod
    def _is_base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("is not base64") from None
        return value

    @property
    def data(self) -> bytes:
        """The content."""
        return base64.b64decode(self.content)


class UploadedFile(BaseModel):
    """A file of any size that was uploaded before.

    Attributes:
        digest: digest of its content, by which it was uploaded.
        mode: its mode in octal digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: Digest
    mode: _Mode = "0644"


def _kind(value: Any) -> str:  # noqa: ANN401 - whatever was sent
    uploaded = "digest" in value if isinstance(value, dict) else isinstance(value, UploadedFile)
    return "uploaded" if uploaded else "inline"


RequestFile = Annotated[
    Annotated[InlineFile, Tag("inline")] | Annotated[UploadedFile, Tag("uploaded")], Discriminator(_kind)
]


class Registry(BaseModel):
    """Where the image is pushed to, in place of the service's own registry.

    Attributes:
        registry_url: host, with a path for a group of repositories; a scheme and an API segment
            (`/v1`, `/v2`) are left out of image names.
        registry_user: user name, without one the access is anonymous.
        registry_password: password or token.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry_url: Annotated[StrictStr, Field(min_length=1, max_length=255)]
    registry_user: Annotated[StrictStr, Field(max_length=255)] | None = None
    registry_password: SecretStr | None = None

    @field_validator("registry_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not _REGISTRY_URL.fullmatch(value):
            raise ValueError("is not the address of a registry: https://host[:port][/path]")
        return value

    @property
    def prefix(self) -> str:
        """What stands before the image's name in its reference."""
        address = value if (value := self.registry_url.partition("://")[2]) else self.registry_url
        host, *path = address.strip("/").split("/")
        kept = path[1:] if path and _API_SEGMENT.fullmatch(path[0]) else path
        return "/".join([host, *filter(None, kept)])


class ImageRequest(BaseModel):
    """An image: its name and tag, what it is made of, and where it goes.

    Attributes:
        name: repository of the image, below the registry's own path.
        tag: its tag.
        layers: what it is made of, in order.
        registry: where it goes; without it, to the registry of the service.
        files: files for `copy` and `add` by their path: small ones here, large ones by their digests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[StrictStr, Field(pattern=rf"^{_COMPONENT}(?:/{_COMPONENT})*$", max_length=200)]
    tag: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] = "latest"
    layers: Annotated[list[AnyLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    registry: Registry | None = None
    files: Annotated[dict[str, RequestFile], Field(max_length=MAX_FILES)] = {}

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, value: dict[str, RequestFile]) -> dict[str, RequestFile]:
        for name in value:
            if _too_long(name):
                raise ValueError(
                    f"{name[:100]!r}… is too long: a path has at most {_LONGEST_PATH} bytes, each name in it "
                    f"at most {_LONGEST_NAME}"
                )
        for name in value:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name or name == "." or "\0" in name:
                raise ValueError(f"{name[:100]!r} is not a relative path without `.` and `..`")
            if any(str(parent) in value for parent in path.parents):
                raise ValueError(f"{name[:100]!r} lies below a file")
        return value

    @model_validator(mode="after")
    def _stages_are_in_order(self) -> "ImageRequest":
        known: set[str] = set()
        begun = 0
        for number, layer in enumerate(self.layers):
            if isinstance(layer, Stage):
                begun += 1
                if layer.alias:
                    if layer.alias.lower() in known:
                        raise ValueError(f"layers[{number}].alias: there is a stage of that name already")
                    known.add(layer.alias.lower())
            elif not begun and layer.layer_type != "arg":
                raise ValueError(f"layers[{number}]: {layer.layer_type} stands before the first stage")
        if not begun:
            raise ValueError("layers: there is no stage, so that the image has no base")
        return self

    @model_validator(mode="after")
    def _memory_mounts_are_bounded(self) -> "ImageRequest":
        """Commands of one stage run one after the other, those of several stages side by side."""
        largest = [0]
        for layer in self.layers:
            if isinstance(layer, Stage):
                largest.append(0)
            elif isinstance(layer, Run) and isinstance(layer.mount, TmpfsMount):
                largest[-1] = max(largest[-1], layer.mount.size)
        if sum(largest) > MAX_TMPFS:
            raise ValueError(
                f"layers: the largest tmpfs mounts of all stages take {sum(largest)} MiB together, "
                f"and at most {MAX_TMPFS} are allowed: give them a smaller `size`"
            )
        return self

    def as_json(self) -> dict[str, Any]:
        """What the service takes, with the password."""
        value = self.model_dump(mode="json", exclude_none=True)
        if self.registry and self.registry.registry_password:
            value["registry"]["registry_password"] = self.registry.registry_password.get_secret_value()
        return value

    @property
    def digests(self) -> frozenset[str]:
        """The uploads that it uses."""
        return frozenset(file.digest for file in self.files.values() if isinstance(file, UploadedFile))


def _too_long(path: str) -> bool:
    data = path.encode("utf-8", "replace")
    return len(data) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in data.split(b"/"))


def problems(error: ValidationError) -> list[str]:
    """What is wrong with a request, each with the name of its field; nothing of the values."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        where = ""
        for part in item["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
        found.append(f"{where or 'request'}: {item['msg'].removeprefix('Value error, ')}")
    return found
