"""The layers of a request, one model for each instruction; fields are named as in the library dcrx.

A field that is refused is one that could not be written into a Dockerfile as it was meant, or that
would let a build out of its own network, process or user.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, field_validator, model_validator

from .fields import (
    Account,
    Alias,
    Argument,
    Command,
    Line,
    Name,
    Path,
    Permissions,
    Text,
    Value,
)
from .mounts import Mount

_BASE = r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,511}"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@sha256:[0-9a-f]{64})?"
_PORT = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?(?:/(?P<protocol>tcp|udp|sctp))?")
_LAST_PORT = 65_535
_URL = re.compile(r"(?:https?|ftp|git|ssh)://|git@", re.IGNORECASE)
_WEB = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_WEB_FORBIDDEN = re.compile(r"[\"'\\$`<>\[\]{}|^#]")
_SIGNAL = r"SIG[A-Z]{2,9}[0-9]{0,2}(?:[+-][0-9]{1,2})?"


class Layer(BaseModel):
    """What all layers have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(Layer):
    """FROM: the image that the following layers stand on; `scratch` is the empty one."""

    layer_type: Literal["stage"] = "stage"
    base: Annotated[StrictStr, Field(pattern=rf"^{_BASE}$")]
    tag: Annotated[StrictStr, Field(pattern=rf"^{_TAG}$")] | None = None
    platform: Annotated[StrictStr, Field(pattern=r"^linux/[a-z0-9]+(?:/v[0-9]+)?$")] | None = None
    alias: Alias | None = None

    @property
    def reference(self) -> str:
        """The base as an image reference: a tag in the base itself counts too."""
        return f"{self.base}:{self.tag}" if self.tag else self.base


class _Files(Layer):
    """What ADD and COPY have in common.

    Attributes:
        source: path in the request's files; `*` and `?` stand for parts of a name.
        destination: path in the image; with a slash at its end it is a folder.
        user_id: owner of what is copied, by number or by a name that the image knows.
        group_id: group of it.
        permissions: mode of it in octal digits.
        link: accepted and without effect: what is copied is its own layer in any case.
    """

    source: Path
    destination: Path
    user_id: Account | None = None
    group_id: Account | None = None
    permissions: Permissions | None = None
    link: bool = False

    @model_validator(mode="after")
    def _group_has_its_user(self) -> "_Files":
        if self.group_id is not None and self.user_id is None:
            raise ValueError("group_id needs a user_id")
        return self

    @property
    def owner(self) -> str | None:
        """`user` or `user:group`; None for root."""
        if self.user_id is None:
            return None
        return self.user_id if self.group_id is None else f"{self.user_id}:{self.group_id}"


class Copy(_Files):
    """COPY: files of the request, or of another stage or image (`from_layer`)."""

    layer_type: Literal["copy"] = "copy"
    from_layer: Annotated[StrictStr, Field(pattern=rf"^{_BASE}$")] | None = None

    @field_validator("source")
    @classmethod
    def _no_address(cls, value: str) -> str:
        if _URL.match(value):
            raise ValueError("is a URL: `add` fetches one, `copy` does not")
        return value


class Add(_Files):
    """ADD: as `copy`; archives are unpacked, and an http(s) URL is fetched.

    Attributes:
        checksum: `sha256:…` that what a URL gives must have.
    """

    layer_type: Literal["add"] = "add"
    checksum: Annotated[StrictStr, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None

    @field_validator("source", mode="before")
    @classmethod
    def _address_or_path(cls, value: object) -> object:
        if (
            isinstance(value, str)
            and _URL.match(value)
            and (not _WEB.fullmatch(value) or _WEB_FORBIDDEN.search(value))
        ):
            raise ValueError("only plain http and https URLs can be fetched")
        return value

    @property
    def is_remote(self) -> bool:
        """Whether the source is a URL."""
        return _WEB.match(self.source) is not None

    @model_validator(mode="after")
    def _checksum_is_of_a_url(self) -> "Add":
        if self.checksum and not self.is_remote:
            raise ValueError("checksum: only what a URL gives has one")
        return self


class Arg(Layer):
    """ARG: a variable of the build, which is not in the image."""

    layer_type: Literal["arg"] = "arg"
    name: Name
    default: Value | None = None


class Cmd(Layer):
    """CMD: the command, or the arguments of the entrypoint, in exec form."""

    layer_type: Literal["cmd"] = "cmd"
    command: Annotated[list[Argument], Field(max_length=1000)]


class Entrypoint(Layer):
    """ENTRYPOINT, in exec form."""

    layer_type: Literal["entrypoint"] = "entrypoint"
    command: Annotated[list[Argument], Field(max_length=1000)]


class Env(Layer):
    """ENV: variables of the image, `keys` and `values` in pairs."""

    layer_type: Literal["env"] = "env"
    keys: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    values: Annotated[list[Value], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _pairs(self) -> "Env":
        if len(self.keys) != len(self.values):
            raise ValueError(f"keys and values are no pairs: {len(self.keys)} and {len(self.values)}")
        return self


class Expose(Layer):
    """EXPOSE: ports, `80`, `53/udp` or `8000-8010`."""

    layer_type: Literal["expose"] = "expose"
    ports: Annotated[list[StrictInt | StrictStr], Field(min_length=1, max_length=1000)]

    @field_validator("ports")
    @classmethod
    def _are_ports(cls, value: list[int | str]) -> list[int | str]:
        for port in value:
            found = _PORT.fullmatch(str(port))
            first = int(found["first"]) if found else 0
            last = int(found["last"] or first) if found else 0
            if not 1 <= first <= last <= _LAST_PORT:
                raise ValueError(f"{str(port)[:40]!r} is no port: 80, 53/udp or 8000-8010")
        return value


class Healthcheck(Layer):
    """HEALTHCHECK: a command, and times in seconds."""

    layer_type: Literal["healthcheck"] = "healthcheck"
    command: Cmd
    interval: Annotated[float, Field(ge=0.001, le=86_400)] | None = None
    timeout: Annotated[float, Field(ge=0.001, le=86_400)] | None = None
    start_period: Annotated[float, Field(ge=0, le=86_400)] | None = None
    retries: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="after")
    def _has_a_command(self) -> "Healthcheck":
        if not self.command.command:
            raise ValueError("command: is empty")
        return self


class Label(Layer):
    """LABEL."""

    layer_type: Literal["label"] = "label"
    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$")]
    value: Text


class Maintainer(Layer):
    """MAINTAINER: the author in the image's configuration."""

    layer_type: Literal["maintainer"] = "maintainer"
    author: Annotated[Line, Field(min_length=1)]

    @field_validator("author")
    @classmethod
    def _says_somebody(cls, value: str) -> str:
        if value != value.strip() or re.search(r"[\\$\"'`]|^[<#]", value):
            raise ValueError("has quotes, backslashes, $, or blanks at an end; or begins with < or #")
        return value


class Run(Layer):
    """RUN: a command in the shell of the stage, as it stands; variables are the shell's own.

    Attributes:
        network: `none`, or what the administrator has allowed (`default`).
    """

    layer_type: Literal["run"] = "run"
    command: Command
    mount: Mount | None = None
    network: Literal["default", "none"] | None = None
    security: Literal["sandbox"] | None = None

    @field_validator("network", mode="before")
    @classmethod
    def _own_network(cls, value: object) -> object:
        if value == "host":
            raise ValueError("host: a build has no access to the network of the service")
        return value

    @field_validator("security", mode="before")
    @classmethod
    def _no_privileges(cls, value: object) -> object:
        if value == "insecure":
            raise ValueError("insecure: a build gets no privileges")
        return value

    @field_validator("mount", mode="before")
    @classmethod
    def _nothing_of_the_users(cls, value: object) -> object:
        kind = value.get("mount_type") if isinstance(value, dict) else None
        if kind in ("secret", "ssh"):
            raise ValueError(f"{kind}: requests are stored, so that they must not hold secrets")
        return value


class Shell(Layer):
    """SHELL: what runs the commands of `run` from here on."""

    layer_type: Literal["shell"] = "shell"
    executable: Annotated[Argument, Field(min_length=1)]
    parameters: Annotated[list[Argument], Field(max_length=100)] | None = None

    @property
    def words(self) -> list[str]:
        """The shell's command line, in front of a command."""
        return [self.executable, *(self.parameters or [])]


class StopSignal(Layer):
    """STOPSIGNAL: a number, or a name such as SIGTERM."""

    layer_type: Literal["stopsignal"] = "stopsignal"
    signal: Annotated[StrictInt, Field(ge=1, le=64)] | Annotated[StrictStr, Field(pattern=rf"^{_SIGNAL}$")]


class User(Layer):
    """USER: who runs the image and the commands that follow."""

    layer_type: Literal["user"] = "user"
    user_id: Account
    group_id: Account | None = None

    @property
    def account(self) -> str:
        """`user` or `user:group`."""
        return self.user_id if self.group_id is None else f"{self.user_id}:{self.group_id}"


class Volume(Layer):
    """VOLUME: folders whose content is kept outside of containers."""

    layer_type: Literal["volume"] = "volume"
    paths: Annotated[list[Path], Field(min_length=1, max_length=100)]


class Workdir(Layer):
    """WORKDIR: the folder of the commands that follow; made if it is not there."""

    layer_type: Literal["workdir"] = "workdir"
    path: Path


Instruction = (
    Add | Arg | Cmd | Copy | Entrypoint | Env | Expose | Healthcheck | Label | Run | Shell | StopSignal | User
    | Volume | Workdir
)  # fmt: skip


class OnBuild(Layer):
    """ONBUILD: an instruction for images that have this one as their base."""

    layer_type: Literal["onbuild"] = "onbuild"
    instruction: Annotated[Instruction, Field(discriminator="layer_type")]


AnyLayer = Annotated[
    Instruction | Stage | Maintainer | OnBuild,
    Field(discriminator="layer_type"),
]
