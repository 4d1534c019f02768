"""The part of an image's configuration that layers of a request change.

What each does is as builders of Dockerfiles do it (Docker image specification 1.2; moby/docker-image-spec).
"""

import copy
from collections.abc import Mapping
from typing import Any

from ...layers.dockerfile import AnyLayer, instruction, milliseconds
from ...layers.expand import expand
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

    @property
    def arguments(self) -> Mapping[str, str]:
        """Values of the `arg` layers."""
        return self._arguments

    def continued(self, base: Base, arguments: Mapping[str, str]) -> "Runtime":
        """The configuration of a stage that stands on this one: all but its arguments."""
        new = Runtime(base, arguments)
        new.config = copy.deepcopy(self.config)
        new.author = self.author
        return new

    def apply(self, layer: AnyLayer) -> None:
        """Apply a layer that changes only the configuration; others do nothing here."""
        config = self.config
        match layer:
            case Env():
                # All values see the environment as it was before the instruction.
                values = [self.expand(value) for value in layer.values]
                self._set_environment(dict(zip(layer.keys, values, strict=True)))
            case Arg():
                given = None if layer.default is None else self.expand(layer.default)
                self._arguments[layer.name] = given if given is not None else self._global.get(layer.name, "")
            case Cmd():
                config["Cmd"] = list(layer.command)
                self._command_is_own = True
            case Entrypoint():
                config["Entrypoint"] = list(layer.command)
                if not self._command_is_own:
                    config.pop("Cmd", None)
            case Expose():
                self._add("ExposedPorts", _ports(layer))
            case Volume():
                self._add("Volumes", [self.expand(path) for path in layer.paths])
            case Label():
                labels = dict(config.get("Labels") or {})
                config["Labels"] = labels | {layer.name: self.expand(layer.value)}
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
        """A text with its variables replaced: the environment first, then the arguments."""
        return expand(text, {**self._arguments, **self.environment})

    def path(self, text: str) -> str:
        """An absolute path in the image, without slashes at its ends; relative ones start at the folder
        of the last `workdir`."""
        expanded = self.expand(text)
        start = "" if expanded.startswith("/") else str(self.config.get("WorkingDir") or "/")
        parts: list[str] = []
        for part in f"{start}/{expanded}".split("/"):
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


def _ports(layer: Expose) -> list[str]:
    found = []
    for port in layer.ports:
        numbers, _, protocol = str(port).partition("/")
        first, _, last = numbers.partition("-")
        found += [f"{number}/{protocol or 'tcp'}" for number in range(int(first), int(last or first) + 1)]
    return found


def _healthcheck(layer: Healthcheck) -> dict[str, Any]:
    """Times are nanoseconds there."""
    times = {"Interval": layer.interval, "Timeout": layer.timeout, "StartPeriod": layer.start_period}
    check: dict[str, Any] = {"Test": ["CMD", *layer.command.command]}
    check |= {name: milliseconds(value) * 1_000_000 for name, value in times.items() if value is not None}
    if layer.retries is not None:
        check["Retries"] = layer.retries
    return check
