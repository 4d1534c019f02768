"""The part of a buildspec that SeedFarmer writes (CodeBuild user guide, Build specification reference)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")


@dataclass(frozen=True)
class Phase:
    """One phase: its commands, and those that run even after one of them failed."""

    name: str
    commands: tuple[str, ...]
    finally_commands: tuple[str, ...]


@dataclass(frozen=True)
class Buildspec:
    """Phases in the order in which they run, and the variables of `env.variables`."""

    variables: dict[str, str]
    phases: tuple[Phase, ...]

    @property
    def commands(self) -> int:
        """How many commands a build without a failure runs."""
        return sum(len(phase.commands) + len(phase.finally_commands) for phase in self.phases)


def load(path: Path) -> Buildspec:
    """Read a buildspec; phases that it does not have are left out."""
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    variables = (content.get("env") or {}).get("variables") or {}
    phases = content.get("phases") or {}
    return Buildspec(
        variables={name: str(value) for name, value in variables.items()},
        phases=tuple(_phase(name, phases[name]) for name in PHASES if name in phases),
    )


def load_environment(path: Path) -> dict[str, str]:
    """Read the agent's environment file: `NAME=value`, one a line, taken literally."""
    pairs = [line.partition("=") for line in path.read_text("utf-8").splitlines() if "=" in line]
    return {name: value for name, _, value in pairs}


def module_commands(deployspec: Path) -> set[str]:
    """The commands that are a module's own; the others in a buildspec are SeedFarmer's."""
    content: dict[str, Any] = yaml.safe_load(deployspec.read_text("utf-8"))
    directions = [content.get(name) or {} for name in ("deploy", "destroy")]
    phases = [phase for direction in directions for phase in (direction.get("phases") or {}).values()]
    return {command for phase in phases for command in phase.get("commands") or ()}


def _phase(name: str, content: dict[str, Any]) -> Phase:
    return Phase(name, tuple(content.get("commands") or ()), tuple(content.get("finally") or ()))
