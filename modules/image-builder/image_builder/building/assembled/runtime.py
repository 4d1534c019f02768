"""The part of an image's configuration that layers of a request change.

What each does is as builders of Dockerfiles do it (Docker image specification 1.2; moby/docker-image-spec).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ...layers.dockerfile import AnyLayer, instruction, milliseconds
from ...layers.expand import TooLongError, expand
from ...layers.models import (
    Arg,
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from ..bases import Base
from ..errors import InvalidRequestError, LimitExceededError
from .nodes import LONGEST_PATH

_MOST = 4 * 1024 * 1024  # characters that the layers of a stage, and of those below it, may write
_PORT_TEXT = 11  # characters of a port with its protocol, at most


class Runtime:
    """The configuration of a stage as it grows.

    Args:
        base: what the stage stands on.
        arguments: values of the `arg` layers before the first stage.

    Attributes:
        config: environment, command and so on, as in the image's configuration.
        author: who the image's configuration names, None for the base's.
    """

    def __init__(self, base: Base, arguments: Mapping[str, str]) -> None:
        self.config: dict[str, Any] = copy.deepcopy(dict(base.runtime))
        self.author: str | None = None
        self._global = dict(arguments)
        self._arguments: dict[str, str] = {}
        self._command_is_own = False
        self._written = 0

    @property
    def arguments(self) -> Mapping[str, str]:
        """Values of the `arg` layers."""
        return self._arguments

    def continued(self, base: Base, arguments: Mapping[str, str]) -> "Runtime":
        """The configuration of a stage that stands on this one: all but its arguments."""
        new = Runtime(base, arguments)
        new.config = copy.deepcopy(self.config)
        new.author = self.author
        new._written = self._written
        return new

    def apply(self, layer: AnyLayer) -> None:
        """Apply a layer that changes only the configuration; others do nothing here.

        Raises:
            InvalidRequestError: a text is too long with its variables replaced.
            LimitExceededError: the layers write more than a configuration may have.
        """
        config = self.config
        match layer:
            case Env():
                # All values see the environment as it was before the instruction.
                values = self._written_out(layer.values)
                self._set_environment(dict(zip(layer.keys, values, strict=True)))
            case Arg():
                given = None if layer.default is None else self._written_out([layer.default])[0]
                self._arguments[layer.name] = given if given is not None else self._global.get(layer.name, "")
            case Cmd():
                config["Cmd"] = list(layer.command)
                self._command_is_own = True
            case Entrypoint():
                config["Entrypoint"] = list(layer.command)
                if not self._command_is_own:
                    config.pop("Cmd", None)
            case Expose():
                self._add("ExposedPorts", self._ports(layer))
            case Volume():
                self._add("Volumes", self._written_out(layer.paths))
            case Label():
                labels = dict(config.get("Labels") or {})
                config["Labels"] = labels | {layer.name: self._written_out([layer.value])[0]}
            case User():
                config["User"] = layer.account
            case Workdir():
                config["WorkingDir"] = "/" + self.path(layer.path)
            case Shell():
                config["Shell"] = layer.words
            case StopSignal():
                config["StopSignal"] = str(layer.signal)
            case Healthcheck():
                config["Healthcheck"] = _healthcheck(layer)
            case Maintainer():
                self.author = layer.author
            case OnBuild():
                shell = config.get("Shell") or ["/bin/sh", "-c"]
                line = instruction(layer.instruction, {}, shell)
                config["OnBuild"] = [*(config.get("OnBuild") or []), line]
            case _:
                pass

    def expand(self, text: str) -> str:
        """A text with its variables replaced: the environment first, then the arguments.

        Raises:
            InvalidRequestError: it is too long then.
        """
        return _expanded(text, self._variables)

    @property
    def _variables(self) -> dict[str, str]:
        return {**self._arguments, **self.environment}

    def _written_out(self, texts: Sequence[str]) -> list[str]:
        """Texts that go into the configuration, with their variables replaced."""
        variables = self._variables
        found = []
        for text in texts:
            found.append(_expanded(text, variables))
            self._count(len(found[-1]))
        return found

    def _count(self, characters: int) -> None:
        self._written += characters
        if self._written > _MOST:
            raise LimitExceededError(f"layers: they write more than {_MOST} characters of configuration")

    def _ports(self, layer: Expose) -> list[str]:
        found: dict[str, None] = {}
        for port in dict.fromkeys(map(str, layer.ports)):
            numbers, _, protocol = port.partition("/")
            first, _, last = numbers.partition("-")
            ports = range(int(first), int(last or first) + 1)
            self._count(len(ports) * _PORT_TEXT)
            found |= dict.fromkeys(f"{number}/{protocol or 'tcp'}" for number in ports)
        return list(found)

    def path(self, text: str) -> str:
        """An absolute path in the image, without slashes at its ends; relative ones start at the folder
        of the last `workdir`.

        Raises:
            InvalidRequestError: it is too long.
        """
        expanded = self.expand(text)
        start = "" if expanded.startswith("/") else str(self.config.get("WorkingDir") or "/")
        whole = f"{start}/{expanded}".strip("/")
        if len(whole) > LONGEST_PATH:
            raise InvalidRequestError(
                f"{text[:100]!r} is a path of {len(whole)} characters with its variables replaced; "
                f"{LONGEST_PATH} are allowed"
            )
        parts: list[str] = []
        for part in whole.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a container."""
        pairs = (entry.partition("=") for entry in self.config.get("Env") or [])
        return {name: value for name, _, value in pairs}

    def _set_environment(self, values: Mapping[str, str]) -> None:
        merged = self.environment | dict(values)
        self.config["Env"] = [f"{name}={value}" for name, value in merged.items()]

    def _add(self, key: str, names: list[str]) -> None:
        self.config[key] = {**(self.config.get(key) or {}), **{name: {} for name in names}}


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    try:
        return expand(text, variables)
    except TooLongError as error:
        raise InvalidRequestError(f"{text[:100]!r} {error}") from None


def _healthcheck(layer: Healthcheck) -> dict[str, Any]:
    """Times are nanoseconds there."""
    times = {"Interval": layer.interval, "Timeout": layer.timeout, "StartPeriod": layer.start_period}
    check: dict[str, Any] = {"Test": ["CMD", *layer.command.command]}
    check |= {name: milliseconds(value) * 1_000_000 for name, value in times.items() if value is not None}
    if layer.retries is not None:
        check["Retries"] = layer.retries
    return check
