"""The charts that data files name, from wherever they are."""

import asyncio
from collections.abc import Awaitable

from ..datafiles import DataFiles, Workload
from ..mappings import DockerMappings
from ..oci.errors import RegistryError
from ..oci.reference import InvalidReference
from ..oci.registry import Repository
from ..oci.transport import Transport
from ..shared.endpoints import Endpoints
from ..shared.errors import UserError
from . import oci
from .archive import ChartError
from .fetched import FetchedChart, FetchResult
from .repository import ChartRepositories


class ChartSources:
    """Fetches charts; the same version of a chart from the same place is fetched once.

    Args:
        transport: sends the requests.
        endpoints: the overrides of the transport.
    """

    def __init__(self, transport: Transport, endpoints: Endpoints) -> None:
        self._transport = transport
        self._repositories = ChartRepositories(transport, endpoints)
        self._fetches: dict[tuple[str, ...], asyncio.Task[FetchResult]] = {}

    async def fetch(self, data: DataFiles) -> dict[str, FetchResult]:
        """The chart of each workload, or why it cannot be had: the caller reports all of them at once."""
        found = await asyncio.gather(*(self._once(workload, data.mappings) for workload in data.workloads))
        return {workload.key: chart for workload, chart in zip(data.workloads, found, strict=True)}

    async def _once(self, workload: Workload, mappings: DockerMappings) -> FetchResult:
        prefix = str(sorted(mappings.prefixes.items())) if is_oci(workload) else ""
        key = (workload.repository, workload.chart, workload.version, prefix)
        if key not in self._fetches:
            self._fetches[key] = asyncio.ensure_future(self._fetch(workload, mappings))
        return await self._fetches[key]

    async def _fetch(self, workload: Workload, mappings: DockerMappings) -> FetchResult:
        return await fetch_result(workload, self._find(workload, mappings))

    async def _find(self, workload: Workload, mappings: DockerMappings) -> FetchedChart:
        if not is_oci(workload):
            return await self._repositories.fetch(workload.repository, workload.chart, workload.version)
        reference = oci.chart_reference(workload.repository, workload.chart, workload.version)
        address = mappings.chart(reference)
        return await oci.fetch(Repository(self._transport, address), address, self._transport.retry)


async def fetch_result(workload: Workload, fetch: Awaitable[FetchedChart]) -> FetchResult:
    """The chart that `fetch` gives if it is that of the workload, or why it cannot be had."""
    try:
        return _checked(await fetch, workload)
    except ChartError as error:
        return error
    except (RegistryError, InvalidReference, UserError) as error:
        return ChartError(str(error))


def is_oci(workload: Workload) -> bool:
    """Whether the workload's chart is in a registry."""
    return workload.repository.startswith(oci.SCHEME)


def _checked(fetched: FetchedChart, workload: Workload) -> FetchedChart:
    chart = fetched.chart
    if chart.name != workload.chart or chart.version.lstrip("v") != workload.version.lstrip("v"):
        raise ChartError(f"the archive holds the chart {chart.name} {chart.version} instead")
    return fetched
