"""Images that were built before: the same content need not be built again."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ..layers.dockerfile import without_query
from ..layers.models import Add
from ..oci.manifests import Manifest
from ..oci.reference import Reference
from .assembled.archives import open_content
from .assembled.nodes import Node, Part
from .bases import Base
from .preparation import Prepared
from .stages import Plan

_KNOWN = 1000
_FORMAT = 2  # another one whenever the same request makes another image
_CHUNK = 1024 * 1024


@dataclass
class KnownImages:
    """The manifests of the last builds, by what they were made from."""

    _manifests: OrderedDict[str, Manifest] = field(default_factory=OrderedDict)

    def find(self, key: str) -> Manifest | None:
        """The manifest of the same content."""
        return self._manifests.get(key)

    def remember(self, key: str, manifest: Manifest) -> None:
        """Keep a manifest; the oldest goes."""
        self._manifests[key] = manifest
        self._manifests.move_to_end(key)
        while len(self._manifests) > _KNOWN:
            self._manifests.popitem(last=False)


def key_of(plan: Plan, prepared: Prepared, target: Reference) -> str | None:
    """What an image is made from, as a short text; blocks while it reads files.

    None when that is not known before: a URL without a checksum may give something else every time.
    """
    layers = [(number, layer) for stage in plan.needed for number, layer in plan.stages[stage].layers]
    if any(isinstance(layer, Add) and layer.is_remote and not layer.checksum for _, layer in layers):
        return None
    value: dict[str, Any] = {
        "format": _FORMAT,
        "target": f"{target.registry}/{target.repository}",
        "arguments": [layer.model_dump(mode="json") for layer in plan.arguments],
        "stages": [
            [
                without_query(each).model_dump(mode="json")  # the checksum says what is fetched
                for each in [plan.stages[n].stage, *(la for _, la in plan.stages[n].layers)]
            ]
            for n in plan.needed
        ],
        "bases": {number: _pinned(base) for number, base in prepared.bases.items()},
        "images": {name: _pinned(base) for name, base in prepared.images.items()},
        "files": {name: _described(node) for name, node in prepared.files.items()},
    }
    text = json.dumps(value, sort_keys=True).encode()
    return f"{'commands' if plan.runs_commands else 'assembled'}-{hashlib.sha256(text).hexdigest()}"


def _pinned(base: Base) -> str:
    return f"{base.reference or 'scratch'} {base.platform}"


def _described(node: Node) -> list[object]:
    if isinstance(node.content, Part) and node.content.digest:
        return [node.kind.value, node.mode, node.size, node.content.digest.partition(":")[2]]
    digest = hashlib.sha256()
    with open_content(node.content) as stream:
        left = node.size
        while left and (chunk := stream.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return [node.kind.value, node.mode, node.size, digest.hexdigest()]
