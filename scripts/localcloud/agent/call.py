"""The `docker run` call that SeedFarmer makes, parsed (seedfarmer/deployment/codebuild_local.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

AGENT_IMAGE = "public.ecr.aws/codebuild/local-builds:latest"


@dataclass(frozen=True)
class AgentCall:
    """What one call asks for.

    Attributes:
        source: folder with the bundle; the build's CODEBUILD_SRC_DIR.
        buildspec: the buildspec's file.
        environment_file: file with the build's variables, one `NAME=value` a line.
        aws: the AWS_* variables that the call passes on.
    """

    source: Path
    buildspec: Path
    environment_file: Path
    aws: dict[str, str]

    @property
    def build_id(self) -> str:
        """`{deployment}-{group}-{module}`: SeedFarmer names the source folder so."""
        return self.source.name


def is_agent_call(arguments: Sequence[str]) -> bool:
    """Whether these arguments of `docker` are SeedFarmer's call of the agent."""
    return len(arguments) > 1 and arguments[0] == "run" and arguments[-1] == AGENT_IMAGE


def parse(arguments: Sequence[str]) -> AgentCall:
    """Read the call's variables and volumes.

    Raises:
        ValueError: something that the agent needs is not there.
    """
    variables = dict(_split(value) for value in _values(arguments, "-e"))
    mounts = {target.rstrip("/"): source for source, target in map(_volume, _values(arguments, "-v"))}
    missing = [name for name in ("SOURCE", "BUILDSPEC", "ENV_VAR_FILE") if name not in variables]
    if missing or "/LocalBuild/envFile" not in mounts:
        raise ValueError(f"not a call of CodeBuild's local agent: {missing or 'no environment folder'}")
    return AgentCall(
        source=Path(variables["SOURCE"]),
        buildspec=Path(variables["BUILDSPEC"]),
        environment_file=Path(mounts["/LocalBuild/envFile"]) / variables["ENV_VAR_FILE"],
        aws={name: value for name, value in variables.items() if name.startswith("AWS_")},
    )


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [value for name, value in pairwise(arguments) if name == option]


def _split(assignment: str) -> tuple[str, str]:
    name, _, value = assignment.partition("=")
    return name, value


def _volume(volume: str) -> tuple[str, str]:
    source, _, target = volume.partition(":")
    return source, target
