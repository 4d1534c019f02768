"""The `apply` command: from the data files to copies, inventory and outputs.

Everything that can be found wrong is found before anything is made, and the inventory is written
last: what it names is there.
"""

import asyncio

from . import datafiles, results, work
from .aws import CONCURRENT_CALLS, Aws
from .copies import Copies
from .credentials import run_credentials
from .datafiles import DataFiles
from .fingerprint import fingerprint
from .lock import Lock, LockError
from .lock_store import LockStore
from .module_outputs import inventory_key, inventory_outputs
from .oci.transport import Transport
from .progress import Progress
from .resolve import Target
from .settings import OWNER_MODULE, Parameters
from .shared import ecr
from .shared.metadata_bucket import bucket_name, ensure_bucket
from .shared.outputs import write_outputs
from .shared.ownership import Owner
from .shared.settings import SeedFarmerSettings, load
from .shared.usage import UsageRecords
from .work import Work


def apply(*, refresh: bool = False) -> int:
    """Replicate what the data files name; the environment says which deployment this is.

    Args:
        refresh: ask the sources again which digest each tag has, as the parameter `refresh-tags` does.
    """
    seedfarmer, parameters = load(Parameters)
    data = datafiles.load(parameters.data_path, parameters.eks_version)
    run = _Run(seedfarmer, parameters, data, Aws.connect())
    asyncio.run(run.run(refresh=refresh or parameters.refresh_tags))
    return 0


class _Run:
    """One run for one deployment."""

    def __init__(
        self, seedfarmer: SeedFarmerSettings, parameters: Parameters, data: DataFiles, aws: Aws
    ) -> None:
        self._progress = Progress()
        for name in parameters.without_effect:
            self._progress.say(f"the parameter `{name}` has no effect: charts are replicated without Helm")
        self._deployment = (seedfarmer.deployment_name, seedfarmer.module_name)
        self._data = data
        self._aws = aws
        self._endpoints = parameters.endpoints
        self._target = Target(aws.account.ecr_host, seedfarmer.project_name)
        self._inputs = fingerprint(data, parameters, self._target)
        self._owner = Owner(seedfarmer.project_name, OWNER_MODULE)
        self._bucket = bucket_name(seedfarmer.project_name, aws.account)
        self._usage = UsageRecords(aws.s3, self._bucket)
        self._locks = LockStore(aws.s3, self._bucket, *self._deployment)
        self._credentials = run_credentials(parameters, [data], aws)

    async def run(self, *, refresh: bool) -> None:
        """Everything, in the order that keeps a broken run harmless."""
        before = None if refresh else await asyncio.to_thread(self._lock)
        async with Transport(endpoints=self._endpoints, credentials=self._credentials) as transport:
            wanted = await self._wanted(transport, before)
            upload = results.compact(wanted.inventory)
            await asyncio.to_thread(self._prepare, wanted.repositories)
            await self._make_repositories(wanted.repositories)
            lock = await Copies(transport, self._progress, before).run(wanted, self._inputs)
        results.write(wanted.inventory, results.updated_images(wanted.images), lock)
        await asyncio.to_thread(self._publish, upload, lock, wanted.repositories)

    def _lock(self) -> Lock | None:
        """The lock of the last run; one that cannot be read must not block a deploy."""
        try:
            return self._locks.read()
        except LockError as error:
            self._progress.say(f"this run goes without a lock, and writes a new one: {error}")
            return None

    async def _wanted(self, transport: Transport, lock: Lock | None) -> Work:
        if lock and lock.inputs == self._inputs:
            wanted = await work.from_lock(transport, lock)
            if wanted:
                self._progress.say(f"nothing has changed since the lock {self._locks}; its digests are kept")
                return wanted
        self._progress.say(f"fetching {len(self._data.workloads)} charts")
        wanted = await work.from_charts(transport, self._endpoints, self._data, self._target)
        self._progress.say(f"found {len(wanted.images)} images in {len(wanted.charts)} charts")
        return wanted

    def _prepare(self, repositories: set[str]) -> None:
        """Bucket and usage record come first: what is in use is on record before it exists."""
        ensure_bucket(self._aws.s3, self._bucket, self._aws.account, self._owner.project)
        self._record(repositories | self._usage.recorded(*self._deployment))

    def _publish(self, upload: bytes, lock: Lock, repositories: set[str]) -> None:
        self._locks.write(lock)
        key = inventory_key(*self._deployment)
        self._aws.s3.put_object(Bucket=self._bucket, Key=key, Body=upload, ContentType="application/json")
        self._record(repositories)
        write_outputs(inventory_outputs(self._bucket, key))
        self._progress.say(f"uploaded the inventory to s3://{self._bucket}/{key}")

    def _record(self, repositories: set[str]) -> None:
        self._usage.record(*self._deployment, repositories)

    async def _make_repositories(self, wanted: set[str]) -> None:
        there = await asyncio.to_thread(ecr.repository_names, self._aws.ecr)
        missing = sorted(wanted - there)
        slots = asyncio.Semaphore(CONCURRENT_CALLS)

        async def make(name: str) -> None:
            async with slots:
                await asyncio.to_thread(ecr.ensure_repository, self._aws.ecr, name, self._owner)

        await asyncio.gather(*(make(name) for name in missing))
        self._progress.say(f"{len(wanted)} repositories, {len(missing)} of them new")
