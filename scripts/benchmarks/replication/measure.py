"""All parts of the benchmark, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from localcloud.layout import Layout
from localcloud.packages import ensure_programs
from localcloud.progress import Progress

from ..result import Report, Result
from .catalogue_runs import measure_catalogue
from .fault_runs import ALL_SEEDS, SEEDS, measure_faults
from .lab import Lab
from .large_runs import measure_blob, measure_memory
from .peers import ensure_peers
from .request_counts import measure_requests

PARTS = ("catalogue", "blob", "memory", "requests", "faults")


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        runs: how often each time and each peak of memory is.
        full: all seeds of faults.
        parts: which parts.
    """

    runs: int
    full: bool
    parts: Sequence[str]


def measure(extent: Extent) -> Report:
    """Measure.

    Raises:
        LocalCloudError: something that is needed is not there, or a contender failed.
    """
    progress = Progress()
    ensure_programs(("docker-registry",), progress)
    peers = ensure_peers(Layout.from_environment().cache, progress)
    results: list[Result] = []
    notes: list[str] = []
    with Lab() as lab:
        if "catalogue" in extent.parts:
            found, about = measure_catalogue(lab, peers, extent.runs, progress)
            results += found
            notes += about
        if "requests" in extent.parts:
            results += measure_requests(lab, peers, progress)
        if "blob" in extent.parts:
            results += measure_blob(lab, peers, extent.runs, progress)
        if "memory" in extent.parts:
            results += measure_memory(lab, extent.runs, progress)
        if "faults" in extent.parts:
            seeds = ALL_SEEDS if extent.full else SEEDS
            found, about = measure_faults(lab, peers, seeds, progress)
            results += found
            notes += about
    return Report(results, peers.versions, notes)
