"""The `apply` command: from the data files to copies, inventory and outputs.

Everything that can be found wrong is found before anything is made, and the inventory is written
last: what it names is there.
"""

import asyncio
import json
import sys
from typing import Protocol

from . import datafiles, results, work
from .aws import Aws
from .charts.sources import ChartSources
from .copies import Copies
from .credentials import run_credentials
from .datafiles import DataFiles
from .fingerprint import fingerprint
from .lock import Lock, LockedHelm, LockError
from .lock_store import LockStore
from .module_outputs import inventory_key, inventory_outputs
from .oci.journal import Journal
from .oci.reference import Reference
from .oci.source import ImageSource
from .oci.transport import Transport
from .problems import texts
from .progress import Progress
from .proof import program
from .proof.proof import require_proof
from .repositories import Repositories
from .resolve import Target
from .settings import Parameters
from .shared.errors import UserError
from .shared.metadata_bucket import bucket_name
from .shared.outputs import write_outputs
from .shared.settings import SeedFarmerSettings, load
from .work import Charts, Work


def apply(*, refresh: bool = False, as_json: bool = False) -> int:
    """Replicate what the data files name; the environment says which deployment this is.

    Args:
        refresh: ask the sources again which digest each tag has, as the parameter `refresh-tags` does.
        as_json: print what is in place, or the problems, as JSON on stdout, and the log on stderr.

    Raises:
        UserError: something is wrong, and is not printed as JSON.
    """
    try:
        report = _apply(refresh, Progress(log=sys.stderr if as_json else sys.stdout))
    except UserError as error:
        if not as_json:
            raise
        print(json.dumps({"problems": texts(error)}, indent=2))
        return error.exit_status
    if as_json:
        print(json.dumps(report, indent=2))
    return 0


def _apply(refresh: bool, progress: Progress) -> dict[str, object]:
    seedfarmer, parameters = load(Parameters)
    data = datafiles.load(parameters.data_path, parameters.eks_version)
    run = Run(seedfarmer, parameters, data, Aws.connect(), progress)
    lock = asyncio.run(run.run(refresh=refresh or parameters.refresh_tags))
    return {"inventory": run.inventory_path, **lock.report(), "problems": []}


class Origin(Charts, Protocol):
    """What stands in for the internet, a bundle for instance."""

    def image(self, reference: Reference) -> ImageSource:
        """What the image at an address is copied from."""


class Run:
    """One run for one deployment.

    Args:
        seedfarmer: which deployment it is.
        parameters: the module's parameters.
        data: the data files.
        aws: the account.
        progress: where it says how far it is.
        origin: where charts and images come from; the internet without it.
    """

    def __init__(
        self,
        seedfarmer: SeedFarmerSettings,
        parameters: Parameters,
        data: DataFiles,
        aws: Aws,
        progress: Progress,
        origin: Origin | None = None,
    ) -> None:
        self._progress = progress
        self._origin = origin
        self._deployment = (seedfarmer.deployment_name, seedfarmer.module_name)
        self._data = data
        self._aws = aws
        self._parameters = parameters
        self._endpoints = parameters.endpoints
        self._target = Target(aws.account.ecr_host, seedfarmer.project_name)
        self._inputs = fingerprint(data, parameters, self._target)
        self._bucket = bucket_name(seedfarmer.project_name, aws.account)
        settings = parameters.repository_settings(aws.account.partition)
        self._repositories = Repositories(aws, seedfarmer, settings, self._progress)
        self._locks = LockStore(aws.s3, self._bucket, *self._deployment)
        self._credentials = run_credentials(parameters, [data], aws)

    @property
    def inventory_path(self) -> str:
        """`bucket/key` of the inventory."""
        return f"{self._bucket}/{inventory_key(*self._deployment)}"

    async def run(self, *, refresh: bool) -> Lock:
        """Everything, in the order that keeps a broken run harmless; the lock of what is in place."""
        last = await asyncio.to_thread(self._lock)
        before = None if refresh else last
        async with Transport(endpoints=self._endpoints, credentials=self._credentials) as transport:
            known = last.helm if last else None
            wanted = await self._wanted(transport, before, known)
            upload = results.compact(wanted.inventory)
            claim = await asyncio.to_thread(
                self._repositories.claim, wanted.repositories, wanted.repositories_by_digest
            )
            if claim.made and wanted.kept_charts:  # perhaps deleted since they were found in place
                wanted = await self._wanted(transport, None, known)
            with Journal(results.JOURNAL_FILE) as journal:
                source = self._origin.image if self._origin else None
                copies = Copies(transport, self._progress, before, journal, source)
                lock = await copies.run(wanted, self._inputs)
        await asyncio.to_thread(self._repositories.confirm, wanted.repositories)
        results.write(wanted.inventory, results.updated_images(wanted.images), lock)
        await asyncio.to_thread(self._publish, upload, lock)
        await asyncio.to_thread(self._repositories.settle, wanted.repositories, claim.run)
        return lock

    def _lock(self) -> Lock | None:
        """The lock of the last run; one that cannot be read must not block a deploy."""
        try:
            return self._locks.read()
        except LockError as error:
            self._progress.say(f"this run goes without a lock, and writes a new one: {error}")
            return None

    async def _wanted(self, transport: Transport, lock: Lock | None, known: LockedHelm | None) -> Work:
        # A result that nothing proved is proven as soon as a helm is there.
        if lock and lock.inputs == self._inputs and (lock.helm or not program.helm_on_path()):
            wanted = await work.from_lock(transport, lock)
            if wanted:
                self._progress.say(f"nothing has changed since the lock {self._locks}; its digests are kept")
                return wanted
        self._progress.say(f"fetching {len(self._data.workloads)} charts")
        charts = self._origin or ChartSources(transport, self._endpoints)
        resolution = await work.resolved(charts, self._data, self._target)
        self._progress.say(f"found {len(resolution.images)} images in {len(resolution.charts)} charts")
        distro = program.helm_distro(self._parameters, self._aws.secrets, known)
        version, say = self._parameters.eks_version, self._progress.say
        proof = await require_proof(self._data, resolution, version, distro, say)
        return work.from_charts(self._data, resolution, version, proof.helm)

    def _publish(self, upload: bytes, lock: Lock) -> None:
        self._locks.write(lock)
        key = inventory_key(*self._deployment)
        self._aws.s3.put_object(Bucket=self._bucket, Key=key, Body=upload, ContentType="application/json")
        write_outputs(inventory_outputs(self._bucket, key))
        self._progress.say(f"uploaded the inventory to s3://{self._bucket}/{key}")
