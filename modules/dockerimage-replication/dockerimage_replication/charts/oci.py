"""Charts in registries, `oci://` (Helm documentation, Use OCI-based registries)."""

import asyncio
import json

from ..names import chart_tag
from ..oci.download import Download
from ..oci.manifests import Descriptor, Manifest
from ..oci.meter import Meter
from ..oci.reference import InvalidReference, Reference
from ..oci.retry import RetryPolicy
from ..oci.source import ManifestSource
from .archive import MAX_ARCHIVE, ChartError, read_chart
from .fetched import FetchedChart

SCHEME = "oci://"
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PROVENANCE_LAYER = "application/vnd.cncf.helm.chart.provenance.v1.prov"


def chart_reference(repository: str, name: str, version: str) -> Reference:
    """The reference of a chart in an `oci://` repository.

    Raises:
        ChartError: the parts make no reference.
    """
    try:
        return Reference.parse(f"{repository.removeprefix(SCHEME).rstrip('/')}/{name}:{chart_tag(version)}")
    except InvalidReference as error:
        raise ChartError(str(error)) from None


async def fetch(repository: ManifestSource, reference: Reference, retry: RetryPolicy) -> FetchedChart:
    """Fetch a chart from `repository`, the one that `reference` names.

    Raises:
        ChartError: it is not a chart, or its archive is broken.
        RegistryError: a request failed.
    """
    manifest = await repository.get_manifest(reference.identifier)
    layer = _chart_layer(manifest)
    async with Download(repository, layer, retry, Meter()) as download:
        archive = await download.read()
    chart = await asyncio.to_thread(read_chart, archive)
    return FetchedChart(chart, archive, source=reference.with_digest(manifest.digest))


def _chart_layer(manifest: Manifest) -> Descriptor:
    # The manifest's blobs have their sizes checked, but not which of them the chart is.
    chart = [blob for blob in manifest.blobs if blob.media_type == CHART_LAYER]
    if len(chart) != 1:
        types = json.dumps(sorted({blob.media_type for blob in manifest.blobs}))
        raise ChartError(f"is not a Helm chart: it has no single layer of {CHART_LAYER}, but {types}")
    if chart[0].size > MAX_ARCHIVE:
        raise ChartError(f"its archive is larger than {MAX_ARCHIVE} bytes")
    return chart[0]
