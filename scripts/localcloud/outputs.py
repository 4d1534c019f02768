"""The outputs of deployed modules, as SeedFarmer stored them, and their table."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from .emulator import client
from .layout import Layout
from .manifests import Deployment

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

Outputs = Mapping[str, Mapping[str, str]]

# What SeedFarmer adds to a module's own outputs.
BOOKKEEPING = ("SeedFarmerDeployed", "ModuleDeploymentRoleName", "SeedFarmerModuleCommitHash")


def read_outputs(layout: Layout, project: str, deployment: Deployment) -> dict[str, dict[str, str]]:
    """Outputs of every module that has some: `{group}-{module}` -> name -> value."""
    ssm: SSMClient = client(layout, "ssm")
    found: dict[str, dict[str, str]] = {}
    for module in deployment.modules:
        path = f"/{project}/{deployment.name}/{module.group}/{module.name}/metadata"
        try:
            value = ssm.get_parameter(Name=path)["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            continue
        metadata: dict[str, str] = json.loads(value)
        found[f"{module.group}-{module.name}"] = {
            name: item for name, item in sorted(metadata.items()) if name not in BOOKKEEPING
        }
    return found


def print_table(outputs: Outputs) -> None:
    """Print the outputs for people, never cutting a value."""
    table = Table("module", "output", "value")
    for module, values in outputs.items():
        for name, value in values.items():
            table.add_row(module, name, value)
    # A value that was cut could not be copied: as wide as it must be when nobody looks at a terminal.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def print_json(outputs: Outputs) -> None:
    """Print one flat object with every output of every module, names as modules gave them.

    Names are unique among the modules of a deployment here; `modules` has them by module.
    """
    flat: dict[str, object] = {name: value for values in outputs.values() for name, value in values.items()}
    print(json.dumps({**flat, "modules": outputs}, indent=2))
