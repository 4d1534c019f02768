"""Module parameters, typed once and read from the environment that SeedFarmer makes.

SeedFarmer turns the manifest parameter `eks-version` (or `EksVersion`) into the variable
`SEEDFARMER_PARAMETER_EKS_VERSION` when the deployspec sets `publishGenericEnvVariables: true`.
"""

import difflib
import os
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .endpoints import Endpoints
from .errors import ParameterError

PARAMETER_PREFIX = "SEEDFARMER_PARAMETER_"


class ProjectSettings(BaseSettings):
    """What SeedFarmer says about the project in `SEEDFARMER_*`."""

    model_config = SettingsConfigDict(env_prefix="SEEDFARMER_", frozen=True)

    project_name: str = Field(min_length=1)


class SeedFarmerSettings(ProjectSettings):
    """What SeedFarmer says about the deployment in `SEEDFARMER_*`."""

    deployment_name: str = Field(min_length=1)
    module_name: str = Field(min_length=1, description="`{group}-{module}`")

    @property
    def stack_name(self) -> str:
        """Name of the module's CloudFormation stack; SeedFarmer reads its outputs by this name."""
        return f"{self.project_name}-{self.deployment_name}-{self.module_name}"


class CommonParameters(BaseSettings):
    """Parameters that every module of the collection has."""

    model_config = SettingsConfigDict(env_prefix=PARAMETER_PREFIX, frozen=True, env_ignore_empty=True)

    retention_type: Literal["RETAIN", "DESTROY"] = Field(
        default="RETAIN",
        description="`DESTROY`: `seedfarmer destroy` also removes the repositories, images and objects that "
        "no other deployment of the project uses. `RETAIN`: it keeps them.",
    )
    registry_endpoints: str = Field(
        default="{}",
        description="JSON object from host to base URL, for networks where a registry or chart repository "
        'is reached under another address: `{"quay.io": "https://mirror.example.com/quay"}`.',
    )

    @field_validator("registry_endpoints")
    @classmethod
    def _endpoints_are_valid(cls, value: str) -> str:
        Endpoints.from_json(value)
        return value

    @property
    def endpoints(self) -> Endpoints:
        """`registry-endpoints`, parsed."""
        return Endpoints.from_json(self.registry_endpoints)


ParametersT = TypeVar("ParametersT", bound=CommonParameters)


def load(parameters: type[ParametersT]) -> tuple[SeedFarmerSettings, ParametersT]:
    """Read what SeedFarmer says and the module's own parameters from the environment.

    Raises:
        ParameterError: every missing or wrong parameter at once, each with its manifest name.
    """
    problems: list[str] = []
    seedfarmer = read(SeedFarmerSettings, problems)
    own = read(parameters, problems)
    problems += _unknown(parameters)
    if problems or seedfarmer is None or own is None:
        raise invalid(problems)
    return seedfarmer, own


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read(cls: type[SettingsT], problems: list[str], **given: Any) -> SettingsT | None:  # noqa: ANN401
    """Settings from the environment; None with a line in `problems` for each that is missing or wrong.

    Args:
        cls: the settings.
        problems: the lines are added here.
        given: fields that win over the environment.
    """
    try:
        return cls(**given)
    except ValidationError as error:
        problems += _problems(cls, error)
        return None


def invalid(problems: list[str]) -> ParameterError:
    """The error that lists what `read` found."""
    return ParameterError("the module's parameters are not complete or not valid:\n" + "\n".join(problems))


def manifest_name(field: str) -> str:
    """The name that a field has in a manifest: `eks_version` -> `eks-version`."""
    return field.replace("_", "-")


def _unknown(parameters: type[CommonParameters]) -> list[str]:
    """Manifest parameters that the module does not have: a misspelt one must not fall back to a default."""
    known = [manifest_name(field) for field in parameters.model_fields]
    given = [name.removeprefix(PARAMETER_PREFIX) for name in os.environ if name.startswith(PARAMETER_PREFIX)]
    problems = []
    for name in sorted(manifest_name(item.lower()) for item in given):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            problems.append(f"  - manifest parameter `{name}`: this module has no such parameter{hint}")
    return problems


def _problems(cls: type[BaseSettings], error: ValidationError) -> list[str]:
    prefix = cls.model_config.get("env_prefix", "")
    return [
        f"  - {_described(prefix, '.'.join(str(part) for part in item['loc']))}: {_reason(item['msg'])}"
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _described(prefix: str, field: str) -> str:
    variable = f"{prefix}{field.upper()}"
    if prefix == PARAMETER_PREFIX:
        return f"manifest parameter `{manifest_name(field)}` ({variable})"
    return f"variable {variable}, which SeedFarmer sets"


def _reason(message: str) -> str:
    return {"Field required": "is required and not set"}.get(message, message.removeprefix("Value error, "))
