"""Prints the interface of the module in folder argv[1] with package argv[2] as JSON.

Run by `interface.py` in a process of its own.
"""

import importlib
import json
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _parameter(name: str, field: FieldInfo) -> dict[str, Any]:
    return {
        "name": name.replace("_", "-"),
        "field": name,
        "required": field.is_required(),
        "default": _default(field),
        "description": " ".join((field.description or "").split()),
    }


def _own_first(parameters: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The module's own fields, then those that every module has."""
    inherited = {name for base in parameters.__mro__[1:] for name in getattr(base, "model_fields", {})}
    return sorted(parameters.model_fields.items(), key=lambda item: item[0] in inherited)


def main() -> None:
    """Import the two and print them."""
    folder, package = sys.argv[1:]
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    parameters = importlib.import_module(f"{package}.settings").Parameters
    outputs = importlib.import_module(f"{package}.module_outputs").OUTPUTS
    described = [_parameter(name, field) for name, field in _own_first(parameters)]
    print(json.dumps({"parameters": described, "outputs": dict(outputs)}))


if __name__ == "__main__":
    main()
