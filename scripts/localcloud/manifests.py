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
    path = project / manifest
    documents = _documents(path)
    content = documents[0] if len(documents) == 1 else {}
    missing = [key for key in ("name", "groups", "targetAccountMappings") if key not in content]
    if missing:
        raise UsageError(
            f"{path} is not a deployment manifest: it has no `{'`, `'.join(missing)}`. "
            "(The file of a group is not one; name the file that lists the groups.)"
        )
    groups = _list_of_mappings(content["groups"], path, "groups")
    modules = [module for group in groups for module in _group(project, group, path)]
    return Deployment(str(content["name"]), tuple(modules))


def data_digest(project: Path, module: Module) -> str:
    """A digest over the content of a module's local data files."""
    digest = hashlib.sha256()
    for name in module.data_files:
        path = project / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return digest.hexdigest()


def _group(project: Path, group: dict[str, Any], manifest: Path) -> list[Module]:
    name = _text(group, "name", manifest)
    path = project / str(group["path"]) if group.get("path") else manifest
    entries = (
        _documents(path) if group.get("path") else _list_of_mappings(group.get("modules"), path, "modules")
    )
    return [_module(project, name, entry, path) for entry in entries]


def _module(project: Path, group: str, entry: dict[str, Any], path: Path) -> Module:
    name = _text(entry, "name", path)
    items = _list_of_mappings(entry.get("dataFiles"), path, "dataFiles")
    files = [_text(item, "filePath", path) for item in items]
    for file in files:
        if not file.startswith(("git::", "archive::")) and not (project / file).is_file():
            raise UsageError(f"{path}: the data file {file} of module {name} does not exist in {project}")
    return Module(group, name, tuple(files))


def _text(entry: dict[str, Any], key: str, path: Path) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise UsageError(f"{path}: an entry has no `{key}`: {entry}")
    return value


def _list_of_mappings(value: object, path: Path, key: str) -> list[dict[str, Any]]:
    entries = value or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: `{key}` must be a list of mappings")
    return entries


def _documents(path: Path) -> list[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UsageError(f"the manifest {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the manifest {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    if not all(isinstance(document, dict) for document in documents):
        raise UsageError(f"{path} does not hold YAML mappings")
    return documents
