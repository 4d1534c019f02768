"""The module's own work: what a stack cannot do, and what outlives it."""

import argparse
from collections.abc import Sequence

from .module_outputs import ENGINE_IMAGE
from .settings import Parameters
from .shared.outputs import write_outputs
from .shared.settings import load


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of `python -m image_builder`."""
    command = _parser().parse_args(arguments).command
    _, parameters = load(Parameters)
    return _apply(parameters) if command == "apply" else _destroy(parameters)


def _apply(parameters: Parameters) -> int:
    write_outputs({ENGINE_IMAGE: parameters.endpoints.engine_name(parameters.image)})
    return 0


def _destroy(parameters: Parameters) -> int:
    print(f"retention-type {parameters.retention_type}: the module has nothing outside its stack")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m image_builder",
        description="The module's own work. Parameters come from SEEDFARMER_PARAMETER_* in the environment.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="check the parameters and write module-outputs.json for the stack")
    commands.add_parser("destroy", help="remove what outlives the stack; runs after the stack is gone")
    return parser
