"""The `load` command: a bundle, on the isolated side, as `apply` would have made it there.

It is `apply` with the bundle in the place of the internet. Everything in the bundle is checked before
anything is made.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import plan_report
from .apply import Run
from .aws import Aws
from .bundle_content import chart_address, read_data_files
from .charts import oci
from .charts.fetched import FetchedChart, FetchResult
from .charts.sources import fetch_result, is_oci
from .datafiles import DataFiles, Workload
from .mappings import DockerMappings
from .oci.digest import digest_of
from .oci.errors import RegistryError
from .oci.layout import Layout, LayoutImage
from .oci.meter import Meter
from .oci.reference import Reference
from .oci.retry import RetryPolicy
from .problems import listed
from .progress import Progress
from .resolve import Resolution, Target, resolve
from .settings import Parameters
from .shared.errors import ParameterError, UserError
from .shared.settings import SeedFarmerSettings, invalid, read


def load(path: Path, *, index: str | None, as_json: bool) -> int:
    """Push a bundle into the account's registry and publish its inventory.

    Args:
        path: the bundle, a folder or a `.tar`.
        index: digest that the index file has to have, as `bundle` printed it; None takes any.
        as_json: print what was done as JSON, and how far it is on stderr.

    Raises:
        ParameterError: parameters are missing or wrong.
        UserError: there are problems, and they are not printed as JSON.
    """
    progress = Progress(log=sys.stderr if as_json else None)
    try:
        report = asyncio.run(_load(path, index, progress))
    except ParameterError:
        raise
    except UserError as error:
        if not as_json:
            raise
        print(json.dumps({**plan_report.failed([str(error)]), "inventory": None}, indent=2))
        return error.exit_status
    if as_json:
        print(json.dumps(report, indent=2))
    return 0


async def _load(path: Path, index: str | None, progress: Progress) -> dict[str, object]:
    try:
        layout = Layout(path)
        if index not in (None, digest_of(layout.index)):
            raise UserError(f"{path}: its index file has the digest {digest_of(layout.index)}, not {index}")
        progress.say(f"checking {path}")
        meter = Meter()
        async with progress.transfers(meter):
            await layout.check(meter)
        eks_version, data = read_data_files(layout)
    except RegistryError as error:
        raise UserError(str(error)) from None
    progress.say(f"everything in it is what its digest says; it is for EKS {eks_version}")
    seedfarmer, parameters = _settings(eks_version)
    aws = await asyncio.to_thread(Aws.connect)
    bundle = _Bundle(layout)
    resolution = await bundle.require(data, Target(aws.account.ecr_host, seedfarmer.project_name))
    run = Run(seedfarmer, parameters, data, aws, progress, bundle)
    # Without the lock, which would keep the digests of an earlier bundle.
    await run.run(refresh=True)
    return {**plan_report.copied(resolution), "inventory": run.inventory_path}


def _settings(eks_version: str) -> tuple[SeedFarmerSettings, Parameters]:
    """What the environment says; of the EKS version, it may say nothing but that of the bundle."""
    problems: list[str] = []
    seedfarmer = read(SeedFarmerSettings, problems)
    parameters = read(Parameters, [])  # without a version this is None
    if parameters and parameters.eks_version != eks_version:
        raise ParameterError(
            f"the bundle is for EKS {eks_version}, `eks-version` is {parameters.eks_version}"
        )
    parameters = read(Parameters, problems, eks_version=eks_version)
    if seedfarmer is None or parameters is None:
        raise invalid(problems)
    return seedfarmer, parameters


@dataclass(frozen=True)
class _Bundle:
    """A bundle as the origin of a run."""

    layout: Layout

    def image(self, reference: Reference) -> LayoutImage:
        """The image in the bundle."""
        return self.layout.image(reference)

    async def fetch(self, data: DataFiles) -> Mapping[str, FetchResult]:
        """The charts in the bundle."""
        return {
            workload.key: await fetch_result(workload, self._chart(workload, data.mappings))
            for workload in data.workloads
        }

    async def require(self, data: DataFiles, target: Target) -> Resolution:
        """Fail unless the bundle has every image that the charts and data files name."""
        resolution = resolve(data, await self.fetch(data), target)
        names = {str(image.address) for image in resolution.images}
        missing = sorted(names - self.layout.names.keys())
        if missing:
            raise UserError(listed(f"{self.layout.path} lacks images; make the bundle anew", missing))
        return resolution

    async def _chart(self, workload: Workload, mappings: DockerMappings) -> FetchedChart:
        address = chart_address(workload, mappings)
        fetched = await oci.fetch(self.image(address), address, RetryPolicy())
        # The lock must not name the bundle as the place of a chart of an http(s) repository.
        return fetched if is_oci(workload) else replace(fetched, source=None)
