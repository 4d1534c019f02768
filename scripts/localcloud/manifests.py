"""What the local cloud needs to know of a deployment manifest: its name, its modules, their data files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import UsageError


@dataclass(frozen=True)
class Module:
    """One module of a deployment."""

    group: str
    name: str
    data_files: tuple[str, ...]


@dataclass(frozen=True)
class Deployment:
    """A deployment manifest."""

    name: str
    modules: tuple[Module, ...]


def load(project: Path, manifest: str) -> Deployment:
    """Read a deployment manifest and the manifests of its groups.

    Raises:
        UsageError: a file is not there, is not YAML, or is no deployment manifest.
    """
    content = _mapping(project / manifest)
    name = content.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{manifest}: `name` is missing; is this a deployment manifest?")
    modules = [module for group in content.get("groups") or [] for module in _group(project, group)]
    return Deployment(name, tuple(modules))


def data_digest(project: Path, module: Module) -> str:
    """A digest over the content of a module's local data files."""
    digest = hashlib.sha256()
    for name in module.data_files:
        path = project / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return digest.hexdigest()


def _group(project: Path, group: dict[str, Any]) -> list[Module]:
    path = group.get("path")
    entries = _documents(project / path) if path else group.get("modules") or []
    return [
        Module(
            group=group["name"],
            name=entry["name"],
            data_files=tuple(item["filePath"] for item in entry.get("dataFiles") or []),
        )
        for entry in entries
    ]


def _mapping(path: Path) -> dict[str, Any]:
    documents = _documents(path)
    if len(documents) != 1:
        raise UsageError(f"{path.name}: expected one YAML mapping")
    return documents[0]


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UsageError(f"the manifest {path} does not exist") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    if not all(isinstance(document, dict) for document in documents):
        raise UsageError(f"{path} does not hold YAML mappings")
    return documents
