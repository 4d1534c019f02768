"""`apply`: from the module's parameters to published image and chart, and the module's outputs."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from ..installation.install import check_release
from ..module_outputs import CHART, ENDPOINT, ENVIRONMENT, IMAGE_DIGEST_URI, IMAGE_URI
from ..oci.credentials import Credentials, StaticCredentials
from ..oci.endpoints import endpoint_of
from ..oci.errors import RegistryError
from ..oci.transport import Transport
from ..settings import Parameters
from ..shared.account import Account
from ..shared.ecr import Login, ensure_repository, login
from ..shared.errors import UserError
from ..shared.outputs import write_outputs
from ..shared.settings import SeedFarmerSettings, load
from ..shared_build import base
from ..shared_build.engine import Engine
from ..shared_build.publish import publish
from ..shared_build.registry import PublishedImage, Registry
from ..shared_build.use import record_use
from .chart import Chart, push_chart, read_chart
from .environment import named_bases, service_environment
from .image import BASE_PARAMETER, MODULE, REPOSITORY_PARAMETER, TAG, service_recipe, service_target
from .owner import images_owner, service_owner

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

CHART_FOLDER = MODULE / "helm" / "dcrx-kv"
PORT = 2278
# SeedFarmer keeps a module's metadata in one parameter of Systems Manager (its quota: 8 KB in the
# advanced tier), with the stack's outputs and a few values of its own beside these.
MAX_METADATA = 8192 - 1024  # bytes
A_DIGEST = f"sha256:{'0' * 64}"


def apply() -> int:
    """Build the image, publish it and the chart, and write `module-outputs.json`."""
    seedfarmer, parameters = load(Parameters)
    session = boto3.Session()
    account = Account.current(session)
    if parameters.release_to_eks:
        check_release(session, seedfarmer, parameters)
    _Deployment(seedfarmer, parameters, account, session.client("ecr"), session.client("s3")).run()
    return 0


@dataclass(frozen=True)
class _Deployment:
    """One run of `apply`."""

    seedfarmer: SeedFarmerSettings
    parameters: Parameters
    account: Account
    ecr: "ECRClient"
    s3: "S3Client"

    def run(self) -> None:
        chart = read_chart(CHART_FOLDER)
        # What cannot be handed over is found out before anything is made.
        self._outputs(f"{self.account.ecr_host}/{self._repository}", A_DIGEST, chart)
        inventory = self.parameters.replicated_ecr_images_metadata_s3_path
        found = base.resolve(self.s3, self.parameters.base_image, inventory)
        print(f"base image: {found.reference}{f' ({found.hint})' if found.hint else ''}")
        chart_repository = f"{self._repository}/{chart.name}"
        # Images on the named bases are built on what others have published.
        bases = [found.reference, *named_bases(self.parameters).values()]
        record_use(self.s3, self.account, self.seedfarmer, {self._repository, chart_repository}, bases)
        owner = service_owner(self.seedfarmer.project_name)
        uri = ensure_repository(self.ecr, self._repository, owner)
        ensure_repository(self.ecr, chart_repository, owner)
        credentials = login(self.ecr)
        image = self._publish(uri, found.reference, credentials)
        self._push(chart, chart_repository, credentials)
        write_outputs(self._outputs(uri, image.digest, chart))

    @property
    def _repository(self) -> str:
        return self.parameters.repository(self.seedfarmer.project_name)

    def _publish(self, uri: str, base_reference: str, credentials: Login) -> PublishedImage:
        endpoints = self.parameters.endpoints
        host, _, repository = uri.partition("/")
        target = endpoints.engine_name(uri)
        with Engine.private() as engine, tempfile.TemporaryDirectory(prefix="image-inputs-") as private:
            engine.login(target.partition("/")[0], credentials)
            registry = Registry(endpoints.base_url(host), credentials)
            found = engine.pull(endpoints.engine_name(base_reference), BASE_PARAMETER)
            recipe = service_recipe(self.parameters, found, Path(private), Path.home())
            return publish(engine, recipe, service_target(registry, repository, target))

    def _push(self, chart: Chart, repository: str, credentials: Login) -> None:
        shown = f"{repository}:{chart.version}"
        try:
            pushed = asyncio.run(self._push_chart(chart, repository, credentials))
        except RegistryError as error:
            raise UserError(
                f"manifest parameter `{REPOSITORY_PARAMETER}`: the chart {shown} cannot be pushed: {error}"
            ) from None
        print(f"{'published' if pushed else 'unchanged'}: chart {shown}, {chart.manifest.digest}")

    async def _push_chart(self, chart: Chart, repository: str, credentials: Login) -> bool:
        endpoints, host = self.parameters.endpoints, self.account.ecr_host
        known = {endpoint_of(endpoints, host).credential_host: _as_credentials(credentials)}
        async with Transport(endpoints=endpoints, credentials=StaticCredentials(known)) as transport:
            return await push_chart(transport, chart, host, repository)

    def _outputs(self, uri: str, digest: str, chart: Chart) -> Mapping[str, str]:
        """The module's outputs.

        Raises:
            UserError: SeedFarmer has no room for them.
        """
        seedfarmer, parameters = self.seedfarmer, self.parameters
        prefix = parameters.prefix_of_images(seedfarmer.project_name, seedfarmer.deployment_name)
        environment = service_environment(
            parameters, f"{self.account.ecr_host}/{prefix}", images_owner(seedfarmer)
        )
        made = {
            IMAGE_URI: f"{uri}:{TAG}",
            IMAGE_DIGEST_URI: f"{uri}@{digest}",
            CHART: f"oci://{uri}/{chart.name}@{chart.manifest.digest}",
            ENDPOINT: parameters.service_endpoint
            or f"http://{chart.name}.{parameters.namespace}.svc.cluster.local:{PORT}",
            ENVIRONMENT: json.dumps(environment),
        }
        size = len(json.dumps(made).encode())
        if size > MAX_METADATA:
            raise UserError(
                f"manifest parameter `desktop-image-uris`: with {len(parameters.desktops)} images the "
                f"module's outputs take {size} bytes, and SeedFarmer has room for {MAX_METADATA}: name fewer"
            )
        return made


def _as_credentials(found: Login) -> Credentials:
    return Credentials(found.username, found.password)
