"""OCI layouts: a content store on disk, and the documents that stand in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REFERENCE = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class MediaTypes:
    """One family of media types: the same documents go by OCI's names or by Docker's."""

    index: str
    manifest: str
    config: str
    layer: str


OCI = MediaTypes(
    index="application/vnd.oci.image.index.v1+json",
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = MediaTypes(
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
)
INDEX_TYPES = frozenset({OCI.index, DOCKER.index})
MANIFEST_TYPES = (OCI.index, OCI.manifest, DOCKER.index, DOCKER.manifest)


@dataclass(frozen=True)
class Descriptor:
    """What a document says about content that it refers to."""

    media_type: str
    digest: str
    size: int

    def document(self, **more: object) -> dict[str, Any]:
        """Return the descriptor as JSON has it, with further fields such as the platform."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Descriptor:
        """Read a descriptor out of a document."""
        return cls(document["mediaType"], document["digest"], document["size"])


def canonical_json(document: object) -> bytes:
    """Return the one JSON text of a document, so that equal documents have equal digests."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Layout:
    """An OCI image layout folder whose entries carry full references such as `docker.io/library/x:1`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries: dict[str, Descriptor] = {}
        index = root / "index.json"
        if index.exists():
            for entry in json.loads(index.read_text())["manifests"]:
                self._entries[entry["annotations"][_REFERENCE]] = Descriptor.parse(entry)

    @property
    def references(self) -> dict[str, Descriptor]:
        """All references of this layout, each with what it points to."""
        return dict(self._entries)

    def blob(self, digest: str) -> Path:
        """Return the file of some content."""
        return self.root / "blobs" / digest.replace(":", "/", 1)

    def read(self, digest: str) -> dict[str, Any]:
        """Return a JSON document of the store."""
        document: dict[str, Any] = json.loads(self.blob(digest).read_bytes())
        return document

    def add(self, content: bytes, media_type: str) -> Descriptor:
        """Store content."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        path = self.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return Descriptor(media_type, digest, len(content))

    def refer(self, reference: str, descriptor: Descriptor) -> None:
        """Give content a reference; `save` writes them all."""
        self._entries[reference] = descriptor

    def save(self) -> None:
        """Write `index.json` and the layout's version."""
        manifests = [
            descriptor.document(annotations={_REFERENCE: reference})
            for reference, descriptor in sorted(self._entries.items())
        ]
        index = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": manifests}
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "oci-layout").write_bytes(canonical_json({"imageLayoutVersion": "1.0.0"}))
        (self.root / "index.json").write_bytes(canonical_json(index))


def split_reference(reference: str) -> tuple[str, str]:
    """Split `docker.io/library/busybox:1.35` into its repository and its tag."""
    repository, _, tag = reference.rpartition(":")
    return repository, tag
