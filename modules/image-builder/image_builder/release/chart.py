"""The Helm chart as the OCI artifact that Helm would push, but the same one every time.

Media types and annotations: Helm's documentation, "Use OCI-based registries". Helm writes the time of the
push into the manifest, so that its digest would change with every push.
"""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..oci.digest import digest_of
from ..oci.manifests import HELM_CONFIG, OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from ..oci.reference import Reference
from ..oci.registry import Repository
from ..oci.transport import Transport
from ..oci.upload import upload_content

LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ANNOTATIONS = "org.opencontainers.image."  # OCI image-spec, Annotations


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be pushed.

    Attributes:
        name: as its Chart.yaml has it; also the last part of its repository's name.
        version: the tag under which it is pushed.
        manifest: of the artifact.
        contents: bytes of the manifest's blobs.
    """

    name: str
    version: str
    manifest: Manifest
    contents: tuple[bytes, ...]


def read_chart(folder: Path) -> Chart:
    """The chart in a folder; hidden files do not count, since SeedFarmer ships none."""
    metadata = yaml.safe_load((folder / "Chart.yaml").read_text("utf-8"))
    config = json.dumps(metadata, sort_keys=True, default=str).encode()
    archive = _archive(folder, metadata["name"])
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(HELM_CONFIG, config),
        "layers": [_descriptor(LAYER, archive)],
        "annotations": _annotations(metadata),
    }
    raw = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    manifest = parse_manifest(raw, content_type=OCI_MANIFEST, subject=f"chart {folder}")
    return Chart(metadata["name"], str(metadata["version"]), manifest, (config, archive))


async def push_chart(transport: Transport, chart: Chart, registry: str, repository: str) -> bool:
    """Make the repository's tag this chart; False when it is already.

    Raises:
        RegistryError: the registry refused a request.
    """
    destination = Repository(transport, Reference(registry, repository, chart.version))
    if await destination.find_manifest(chart.version) == chart.manifest.digest:
        return False
    for blob, content in zip(chart.manifest.blobs, chart.contents, strict=True):
        if not await destination.blob_exists(blob.digest):
            await upload_content(destination, blob, content)
    await destination.put_manifest(chart.manifest, chart.version)
    return True


def _archive(folder: Path, name: str) -> bytes:
    """The chart's files below its name, without anything of the checkout that they come from."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = path.relative_to(folder)
            if any(part.startswith(".") for part in relative.parts):
                continue
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{name}/{relative.as_posix()}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    blob = Descriptor(media_type, digest_of(content), len(content))
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _annotations(metadata: dict[str, Any]) -> dict[str, str]:
    known = {"title": metadata["name"], "version": metadata["version"]}
    if metadata.get("description"):
        known["description"] = metadata["description"]
    return {f"{_ANNOTATIONS}{key}": str(value) for key, value in known.items()}
