"""The Kubernetes objects that a chart renders to, as trees of texts."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..charts.untrusted_yaml import UntrustedYamlError, load_documents

MAX_EMBEDDED = 1024 * 1024  # characters of a document inside a document
_OPENINGS = ("{", "[", "- ")


@dataclass(frozen=True)
class RenderedObject:
    """One object.

    Attributes:
        kind: its kind.
        name: its name.
        tree: mappings, lists and texts.
    """

    kind: str
    name: str
    tree: Mapping[str, object]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def rendered_objects(raw: bytes) -> list[RenderedObject]:
    """The objects in what helm printed, those of a list each by itself.

    Raises:
        UntrustedYamlError: it is not YAML.
    """
    return [found for document in load_documents(raw) for found in _objects(document)]


def embedded(text: str) -> list[object]:
    """The documents that a text is made of, in YAML or JSON; empty when it is anything else."""
    structured = "\n" in text or text.lstrip().startswith(_OPENINGS)
    if not structured or len(text) > MAX_EMBEDDED:
        return []
    try:
        documents = load_documents(text.encode())
    except UntrustedYamlError:
        return []
    return documents if all(isinstance(document, Mapping | list) for document in documents) else []


def _objects(document: object) -> Iterator[RenderedObject]:
    if not isinstance(document, Mapping):
        return
    kind, items = str(document.get("kind")), document.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, Mapping) and item is not document:
                yield _object(item)
        return
    yield _object(document)


def _object(tree: Mapping[str, object]) -> RenderedObject:
    metadata = tree.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    kind, data = str(tree.get("kind")), tree.get("data")
    if kind == "Secret" and isinstance(data, Mapping):
        tree = {**tree, "data": {key: _decoded(value) for key, value in data.items()}}
    return RenderedObject(kind, str(name), tree)


def _decoded(value: object) -> object:
    """The text behind base64; nothing where it is no text."""
    try:
        return base64.b64decode(str(value), validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
