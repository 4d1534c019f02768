"""The `apply` command: from the data files to copies, inventory and outputs.

Everything that can be found wrong is found before anything is made, and the inventory is written
last: what it names is there.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from . import datafiles, results
from .aws import CONCURRENT_CALLS, Aws
from .charts.archive import ChartError
from .charts.push import replicate_chart
from .charts.sources import ChartSources
from .credentials import run_credentials
from .datafiles import DataFiles
from .module_outputs import inventory_key, inventory_outputs
from .oci.copy import Copier
from .oci.errors import RegistryError
from .oci.reference import Reference
from .oci.transport import Transport
from .progress import Progress, readable_size
from .resolve import Image, Resolution, ResolvedChart, Target, resolve
from .settings import OWNER_MODULE, Parameters
from .shared import ecr
from .shared.errors import UserError
from .shared.metadata_bucket import bucket_name, ensure_bucket
from .shared.outputs import write_outputs
from .shared.ownership import Owner
from .shared.settings import SeedFarmerSettings, load
from .shared.usage import UsageRecords


def apply() -> int:
    """Replicate what the data files name; the environment says which deployment this is."""
    seedfarmer, parameters = load(Parameters)
    data = datafiles.load(parameters.data_path, parameters.eks_version)
    asyncio.run(_Run(seedfarmer, parameters, data, Aws.connect()).run())
    return 0


class _Run:
    """One run for one deployment."""

    def __init__(
        self, seedfarmer: SeedFarmerSettings, parameters: Parameters, data: DataFiles, aws: Aws
    ) -> None:
        self._progress = Progress()
        for name in parameters.without_effect:
            self._progress.say(f"the parameter `{name}` has no effect: charts are replicated without Helm")
        self._seedfarmer = seedfarmer
        self._data = data
        self._aws = aws
        self._endpoints = parameters.endpoints
        self._owner = Owner(seedfarmer.project_name, OWNER_MODULE)
        self._bucket = bucket_name(seedfarmer.project_name, aws.account)
        self._usage = UsageRecords(aws.s3, self._bucket)
        self._credentials = run_credentials(parameters, [data], aws)

    async def run(self) -> None:
        """Everything, in the order that keeps a broken run harmless."""
        async with Transport(endpoints=self._endpoints, credentials=self._credentials) as transport:
            resolution = await self._resolve(transport)
            inventory = results.inventory(self._data, resolution)
            upload = results.compact(inventory)
            await asyncio.to_thread(self._prepare, resolution.repositories)
            await self._make_repositories(resolution.repositories)
            await _Copies(transport, self._progress).run(resolution)
        results.write(inventory, results.updated_images(resolution))
        await asyncio.to_thread(self._publish, upload, resolution.repositories)

    async def _resolve(self, transport: Transport) -> Resolution:
        self._progress.say(f"fetching {len(self._data.workloads)} charts")
        fetched = await ChartSources(transport, self._endpoints).fetch(self._data)
        target = Target(self._aws.account.ecr_host, self._seedfarmer.project_name)
        resolution = resolve(self._data, fetched, target)
        self._progress.say(f"found {len(resolution.images)} images in {len(resolution.charts)} charts")
        return resolution

    def _prepare(self, repositories: set[str]) -> None:
        """Bucket and usage record come first: what is in use is on record before it exists."""
        ensure_bucket(self._aws.s3, self._bucket, self._aws.account, self._owner.project)
        self._record(repositories | self._usage.recorded(*self._deployment))

    def _publish(self, upload: bytes, repositories: set[str]) -> None:
        key = inventory_key(*self._deployment)
        self._aws.s3.put_object(Bucket=self._bucket, Key=key, Body=upload, ContentType="application/json")
        self._record(repositories)
        write_outputs(inventory_outputs(self._bucket, key))
        self._progress.say(f"uploaded the inventory to s3://{self._bucket}/{key}")

    def _record(self, repositories: set[str]) -> None:
        self._usage.record(*self._deployment, repositories)

    @property
    def _deployment(self) -> tuple[str, str]:
        return self._seedfarmer.deployment_name, self._seedfarmer.module_name

    async def _make_repositories(self, wanted: set[str]) -> None:
        there = await asyncio.to_thread(ecr.repository_names, self._aws.ecr)
        missing = sorted(wanted - there)
        slots = asyncio.Semaphore(CONCURRENT_CALLS)

        async def make(name: str) -> None:
            async with slots:
                await asyncio.to_thread(ecr.ensure_repository, self._aws.ecr, name, self._owner)

        await asyncio.gather(*(make(name) for name in missing))
        self._progress.say(f"{len(wanted)} repositories, {len(missing)} of them new")


@dataclass(frozen=True)
class _Failure:
    subject: str
    reason: str


class _Copies:
    """All copies of a run, side by side; one that fails does not stop the others."""

    def __init__(self, transport: Transport, progress: Progress) -> None:
        self._transport = transport
        self._copier = Copier(transport)
        self._progress = progress

    async def run(self, resolution: Resolution) -> None:
        """Copy images and charts.

        Raises:
            UserError: some could not be copied; all of them, each with its reason.
        """
        charts = {chart.private: chart for chart in resolution.charts}
        attempts = [self._attempt(image.source, self._image(image)) for image in resolution.images]
        attempts += [self._attempt(private, self._chart(chart)) for private, chart in charts.items()]
        failures = [failure for failure in await asyncio.gather(*attempts) if failure]
        if failures:
            lines = "".join(f"\n  - {failure.subject}: {failure.reason}" for failure in failures)
            raise UserError(
                f"{len(failures)} of {len(attempts)} images and charts could not be replicated; the others "
                f"are in place, and no inventory was uploaded:{lines}"
            )

    async def _attempt(self, subject: str, copy: Coroutine[None, None, None]) -> _Failure | None:
        try:
            await copy
        except (RegistryError, ChartError, UserError, ClientError, BotoCoreError) as error:
            self._progress.say(f"FAILED {subject}: {error}")
            return _Failure(subject, str(error))
        return None

    async def _image(self, image: Image) -> None:
        result = await self._copier.copy_image(image.address, Reference.parse(image.private))
        copied = f"{readable_size(result.bytes_transferred)} copied"
        self._progress.say(f"{image.source} -> {image.private} ({copied}, {result.digest})")

    async def _chart(self, chart: ResolvedChart) -> None:
        destination = Reference.parse(chart.private)
        digest = await replicate_chart(self._transport, self._copier, chart.fetched, destination)
        self._progress.say(f"chart {chart.workload.chart} {chart.version} -> {chart.private} ({digest})")
