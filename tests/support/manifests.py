"""The repository's manifests as plain data."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from collection.modules import REPOSITORY


@dataclass(frozen=True)
class ModuleUse:
    """A module in a group of a deployment.

    Attributes:
        group_index: position of the group; groups are deployed in this order.
        document: the YAML document as written.
    """

    deployment: str
    group: str
    group_index: int
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The module's name in its group."""
        return str(self.document["name"])

    @property
    def path(self) -> str:
        """Where its code comes from."""
        return str(self.document["path"])

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameter name -> its entry."""
        return {item["name"]: item for item in self.document.get("parameters", [])}

    @property
    def data_files(self) -> list[str]:
        """The data files' paths."""
        return [item["filePath"] for item in self.document.get("dataFiles", [])]

    def references(self) -> list[tuple[str, dict[str, str]]]:
        """(parameter, its `moduleMetadata`) for each parameter that another module gives."""
        taken = ((name, item.get("valueFrom", {})) for name, item in self.parameters.items())
        return [(name, source["moduleMetadata"]) for name, source in taken if "moduleMetadata" in source]

    def __str__(self) -> str:
        return f"{self.deployment}/{self.group}/{self.name}"


def deployments() -> list[Path]:
    """Every deployment manifest, relative to the repository."""
    return sorted(path.relative_to(REPOSITORY) for path in REPOSITORY.glob("manifests/*/deployment.yaml"))


def module_uses(deployment: Path) -> list[ModuleUse]:
    """The modules of a deployment, in the order of its groups."""
    manifest = load(deployment)
    return [
        ModuleUse(manifest["name"], group["name"], index, document)
        for index, group in enumerate(manifest["groups"])
        for document in yaml.safe_load_all((REPOSITORY / group["path"]).read_text(encoding="utf-8"))
    ]


def environment_variables(deployment: Path) -> set[str]:
    """Names of the variables that a deployment takes values from."""
    texts = [load(deployment), *(use.document for use in module_uses(deployment))]
    return {name for text in texts for name in _taken_from_environment(text)}


def all_module_uses() -> list[ModuleUse]:
    """The modules of all deployments."""
    return [use for deployment in deployments() for use in module_uses(deployment)]


def load(path: Path) -> dict[str, Any]:
    """A manifest file of one document."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))
    return document


def _taken_from_environment(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "envVariable" in value:
            yield str(value["envVariable"])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _taken_from_environment(item)
