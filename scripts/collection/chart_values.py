"""A chart's values, read from its `values.yaml` and the schema beside it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class ChartValue:
    """A value that an installation may set.

    Attributes:
        name: as `--set` takes it.
        default: in JSON.
    """

    name: str
    default: str
    description: str


def chart_values(chart: Path) -> list[ChartValue]:
    """All values of a chart, in the order of its `values.yaml`."""
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    return list(_values(yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")), schema, ""))


def _values(defaults: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[ChartValue]:
    for name, default in defaults.items():
        described = schema["properties"][name]
        if "properties" in described:
            yield from _values(default, described, f"{prefix}{name}.")
        else:
            yield ChartValue(f"{prefix}{name}", json.dumps(default), described["description"])
