"""What is in a bundle beside images: the names of charts, and the data files.

A bundle is an OCI image layout whose index file names each image by the address that it was fetched
from. The inventory is not in it but what it is made of, the charts and the data files: so that one
bundle serves every account, region and project.
"""

import json
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import datafiles, names
from .charts.archive import ChartError
from .charts.oci import chart_reference
from .charts.sources import is_oci
from .datafiles import DataFiles, Workload
from .mappings import DockerMappings
from .oci.digest import digest_of
from .oci.layout import Layout, LayoutError
from .oci.manifests import OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from .oci.reference import InvalidReference, Reference
from .settings import is_eks_version

DATA_FILES = "bundle.local/data-files:"
"""Name of the data files in the index file, without the EKS version that follows."""

_CHARTS = "bundle.local"  # registry in the names of charts of http(s) repositories
_DATA_CONFIG = "application/vnd.airgap-modules.replication.data-files.v1+json"
_DATA_LAYER = "application/yaml"


@dataclass(frozen=True)
class Content:
    """An image that is made here; see `oci.source.ManifestSource`."""

    manifest: Manifest
    contents: Sequence[bytes]

    async def get_manifest(self, identifier: str) -> Manifest:
        """The only manifest."""
        return self.manifest

    async def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        """One of the blobs."""
        yield self.contents[self.manifest.blobs.index(blob)][start:]


def chart_address(workload: Workload, mappings: DockerMappings) -> Reference:
    """The name of a workload's chart in a bundle.

    Raises:
        ChartError: no name can be made of its parts.
    """
    if is_oci(workload):
        return mappings.chart(chart_reference(workload.repository, workload.chart, workload.version))
    parts = urlsplit(workload.repository)
    source = "/".join(part for part in (parts.netloc + parts.path.rstrip("/"), workload.chart) if part)
    repository = names.image_repository("charts", source)
    try:
        return Reference(_CHARTS, repository, names.chart_tag(workload.version))
    except InvalidReference as error:
        raise ChartError(str(error)) from None


def data_files_content(folder: Path, eks_version: str) -> Content:
    """The data files of an EKS version as an artifact; the same files always make the same one."""
    files = {name: (folder / name).read_bytes() for name in _data_files(eks_version)}
    layers = {name: _descriptor(_DATA_LAYER, content) for name, content in files.items()}
    config = _json(
        {"eksVersion": eks_version, "files": {name: layer["digest"] for name, layer in layers.items()}}
    )
    raw = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": _DATA_CONFIG,
            "config": _descriptor(_DATA_CONFIG, config),
            "layers": list(layers.values()),
        }
    )
    manifest = parse_manifest(raw, content_type=OCI_MANIFEST, subject="data files")
    contents = {digest_of(content): content for content in (config, *files.values())}
    return Content(manifest, [contents[blob.digest] for blob in manifest.blobs])


def read_data_files(layout: Layout) -> tuple[str, DataFiles]:
    """The EKS version of a bundle and its data files; what is read has been checked by its digest.

    Raises:
        LayoutError: the layout is no bundle.
        DataFilesError: the data files cannot be used.
    """
    versions = [name.removeprefix(DATA_FILES) for name in layout.names if name.startswith(DATA_FILES)]
    if len(versions) != 1 or not is_eks_version(versions[0]):
        raise LayoutError(f"{layout.path}: it is no bundle of this module: it has no data files")
    manifest = layout.manifest(layout.names[f"{DATA_FILES}{versions[0]}"].digest)
    blobs = {blob.digest: blob for blob in manifest.blobs}
    try:
        config = json.loads(b"".join(layout.read(manifest.blobs[0])))
        found = {name: blobs[config["files"][name]] for name in _data_files(versions[0])}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LayoutError(f"{layout.path}: its data files are not those of EKS {versions[0]}") from None
    with tempfile.TemporaryDirectory() as folder:
        for name, blob in found.items():
            (Path(folder) / name).write_bytes(b"".join(layout.read(blob)))
        return versions[0], datafiles.load(Path(folder), versions[0])


def _data_files(eks_version: str) -> tuple[str, str]:
    return datafiles.DEFAULT_FILE, f"{eks_version}.yaml"


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
