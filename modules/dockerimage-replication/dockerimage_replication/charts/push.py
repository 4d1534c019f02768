"""A chart pushed as the OCI artifact that Helm would make of it, but the same one every time.

Helm writes the time of the push into the manifest, so that its digest changes with every push. Here
it is left out: a chart that is there already is found by its digest, and nothing is pushed.
"""

import json
from collections.abc import Mapping

from ..oci.copy import Copier, CopyResult
from ..oci.digest import digest_of
from ..oci.manifests import HELM_CONFIG, OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from ..oci.reference import Reference
from ..oci.registry import Repository
from ..oci.transport import Transport
from ..oci.upload import upload_content
from .archive import Chart, ChartError
from .fetched import FetchedChart
from .oci import CHART_LAYER, PROVENANCE_LAYER

_ANNOTATIONS = "org.opencontainers.image."  # OCI image-spec, Annotations


async def replicate_chart(
    transport: Transport, copier: Copier, fetched: FetchedChart, destination: Reference, *, refresh: bool
) -> CopyResult:
    """Bring a chart to its destination.

    One that came from a registry is copied with its manifest and provenance, its digest unchanged;
    with `refresh`, what is attached to it is looked for although it is in place.

    Raises:
        ChartError: its metadata cannot be written as JSON.
        RegistryError: a registry refused a request.
    """
    if fetched.source is not None:
        return await copier.copy_image(fetched.source, destination, refresh=refresh)
    return CopyResult(await _push(Repository(transport, destination), fetched, destination.identifier))


def pushed_digest(fetched: FetchedChart) -> str:
    """The digest that a chart of an http(s) repository has at its destination.

    Raises:
        ChartError: its metadata cannot be written as JSON.
    """
    return chart_content(fetched)[0].digest


async def _push(repository: Repository, fetched: FetchedChart, tag: str) -> str:
    manifest, contents = chart_content(fetched)
    if await repository.find_manifest(tag) == manifest.digest:
        return manifest.digest
    for blob, content in zip(manifest.blobs, contents, strict=True):
        if not await repository.blob_exists(blob.digest):
            await upload_content(repository, blob, content)
    await repository.put_manifest(manifest, tag)
    return manifest.digest


def chart_content(fetched: FetchedChart) -> tuple[Manifest, tuple[bytes, ...]]:
    """The OCI artifact that a chart becomes: its manifest, and the content of the manifest's blobs.

    Raises:
        ChartError: its metadata cannot be written as JSON.
    """
    config = _config(fetched.chart)
    layers = {CHART_LAYER: fetched.archive}
    if fetched.provenance is not None:
        layers[PROVENANCE_LAYER] = fetched.provenance
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(HELM_CONFIG, config),
        "layers": [_descriptor(media_type, content) for media_type, content in layers.items()],
        "annotations": _annotations(fetched.chart),
    }
    raw = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    manifest = parse_manifest(raw, content_type=OCI_MANIFEST, subject=f"chart {fetched.chart.name}")
    return manifest, (config, *layers.values())


def _config(chart: Chart) -> bytes:
    try:
        return json.dumps(chart.metadata, sort_keys=True, default=str).encode()
    except (TypeError, ValueError):  # a key that is a date, say
        raise ChartError("its Chart.yaml holds something that JSON cannot") from None


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    blob = Descriptor(media_type, digest_of(content), len(content))
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _annotations(chart: Chart) -> Mapping[str, str]:
    """What Helm takes over from `Chart.yaml`: keys of the OCI specification, then the chart's own."""
    metadata = chart.metadata
    known = {"title": chart.name, "version": chart.version}
    for name, key in (("description", "description"), ("url", "home")):
        if metadata.get(key):
            known[name] = str(metadata[key])
    sources = metadata.get("sources")
    if isinstance(sources, list) and sources:
        known["source"] = str(sources[0])
    own = metadata.get("annotations")
    extra = {str(key): str(value) for key, value in own.items()} if isinstance(own, Mapping) else {}
    # Title and version are the chart's identity: its own annotations cannot change them.
    return {**extra, **{f"{_ANNOTATIONS}{name}": value for name, value in known.items()}}
