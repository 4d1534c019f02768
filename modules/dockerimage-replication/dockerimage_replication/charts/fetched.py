"""A chart as it was fetched."""

from dataclasses import dataclass

from ..oci.reference import Reference
from .archive import Chart, ChartError


@dataclass(frozen=True)
class FetchedChart:
    """A chart and its exact bytes.

    Attributes:
        chart: what it says about itself.
        archive: the packed chart.
        provenance: its provenance file, None for one that has none or that came from a registry.
        source: where its OCI artifact is, None for one from an http(s) chart repository.
    """

    chart: Chart
    archive: bytes
    provenance: bytes | None = None
    source: Reference | None = None


FetchResult = FetchedChart | ChartError
"""A chart, or why it cannot be had."""
