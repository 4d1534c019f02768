"""The module that installs the charts, as far as it reads the inventory: a model of its merge rules.

It copies the object that `S3FullPath` names into one environment variable, and merges the values of
each workload over its own, appending lists. Facts: the contract of this module with IDF's `compute/eks`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_VARIABLE = 128 * 1024  # bytes with name and final zero (execve(2), MAX_ARG_STRLEN)
VARIABLE = "REPLICATED_ECR_IMAGES_METADATA"


@dataclass(frozen=True)
class Release:
    """What is installed for a workload: `helm install` takes the address, version and values."""

    address: str
    version: str
    values: dict[str, Any]


class Consumer:
    """The inventory, taken as the module takes it: an error where that one would fail or go wrong."""

    def __init__(self, uploaded: bytes) -> None:
        assert len(f"{VARIABLE}={uploaded.decode()}") + 1 <= MAX_VARIABLE
        self._inventory = json.loads(uploaded)

    def release(self, workload: str, own: Mapping[str, Any]) -> Release:
        """A workload's release; `own` are the values that the module itself sets."""
        chart = self._inventory["charts"][workload]
        name, version, repository = (chart["helm"][key] for key in ("name", "version", "repository"))
        # It installs `<last segment>` from what is before it.
        assert repository.startswith("oci://")
        assert repository.rpartition("/")[2] == name
        values = appended(dict(own), chart["values"])
        registry = chart["values"].get("tigeraOperator", {}).get("registry")
        if registry:
            values = appended(values, {"installation": {"registry": registry}})
        return Release(repository, version, values)

    def image(self, name: str) -> str:
        """An additional image."""
        image: str = self._inventory["additional_images"][name]
        return image


def appended(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both values: mappings are merged, lists are appended, anything else is replaced."""
    result = dict(below)
    for key, value in above.items():
        beneath = result.get(key)
        if isinstance(beneath, dict) and isinstance(value, Mapping):
            result[key] = appended(beneath, value)
        elif isinstance(beneath, list) and isinstance(value, list):
            result[key] = beneath + value
        else:
            result[key] = value
    return result
