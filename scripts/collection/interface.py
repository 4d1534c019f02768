"""A module's parameters and outputs, read from its code.

Each module is asked in a process of its own, because modules do not import each other and the
packages of one must not be found by another.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import CollectionError
from .modules import Module

PROBE = Path(__file__).with_name("interface_probe.py")


@dataclass(frozen=True)
class Parameter:
    """A manifest parameter.

    Attributes:
        name: name in a manifest.
        field: attribute of the module's class `Parameters`.
        default: as a manifest would write it; None for a required parameter.
    """

    name: str
    field: str
    required: bool
    default: str | None
    description: str


@dataclass(frozen=True)
class Interface:
    """What a manifest can give to a module and take from it."""

    parameters: tuple[Parameter, ...]
    outputs: dict[str, str]


def read_interface(module: Module) -> Interface:
    """Import the module's `settings.Parameters` and `module_outputs.OUTPUTS`.

    Raises:
        CollectionError: they cannot be imported; says why.
    """
    done = subprocess.run(
        [sys.executable, "-I", str(PROBE), str(module.folder), module.package_name],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CollectionError(f"the interface of modules/{module.name} cannot be read: {reason}")
    found = json.loads(done.stdout)
    return Interface(tuple(Parameter(**item) for item in found["parameters"]), found["outputs"])
