"""`apply`: from the module's parameters to a published image and the module's outputs."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from .build import BASE_PARAMETER, REPOSITORY_PARAMETER, TAG, ImageInputs, image_target
from .module_outputs import IMAGE_DIGEST_URI, IMAGE_URI
from .owner import image_owner
from .settings import Parameters
from .shared.account import Account
from .shared.ecr import ensure_repository, login, repository_uri
from .shared.errors import UserError
from .shared.outputs import write_outputs
from .shared.settings import SeedFarmerSettings, load
from .shared_build import base
from .shared_build.engine import Engine
from .shared_build.publish import publish
from .shared_build.registry import PublishedImage, Registry
from .shared_build.use import record_use

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class _Deployment:
    """One run of `apply`."""

    seedfarmer: SeedFarmerSettings
    parameters: Parameters
    account: Account
    ecr: "ECRClient"
    s3: "S3Client"

    def run(self) -> None:
        inventory = self.parameters.replicated_ecr_images_metadata_s3_path
        found = base.resolve(self.s3, self.parameters.base_image, inventory)
        uri = self._repository(found.reference)
        print(f"base image: {found.reference}{f' ({found.hint})' if found.hint else ''}")
        image = self._publish(uri, found.reference)
        write_outputs({IMAGE_URI: f"{uri}:{TAG}", IMAGE_DIGEST_URI: f"{uri}@{image.digest}"})

    def _repository(self, base_reference: str) -> str:
        """URI of the repository, recorded as used; made first when the manifest says so."""
        name = self.parameters.dcv_ecr_repository_name
        if not self.parameters.create_repository:
            uri = self._existing_repository(name)
            self._record_use(base_reference)
            return uri
        self._record_use(base_reference)
        return ensure_repository(self.ecr, name, image_owner(self.seedfarmer.project_name))

    def _existing_repository(self, name: str) -> str:
        try:
            return repository_uri(self.ecr, name)
        except UserError as error:
            raise UserError(
                f"manifest parameter `{REPOSITORY_PARAMETER}`: {error}; "
                "make it first, or set `create-repository` to true"
            ) from None

    def _record_use(self, base_reference: str) -> None:
        repositories = [self.parameters.dcv_ecr_repository_name]
        record_use(self.s3, self.account, self.seedfarmer, repositories, [base_reference])

    def _publish(self, uri: str, base_reference: str) -> PublishedImage:
        endpoints = self.parameters.endpoints
        host, _, repository = uri.partition("/")
        target = endpoints.engine_name(uri)
        with Engine.private() as engine, tempfile.TemporaryDirectory(prefix="image-inputs-") as private:
            credentials = login(self.ecr)
            engine.login(target.partition("/")[0], credentials)
            registry = Registry(endpoints.base_url(host), credentials)
            base_image = engine.pull(endpoints.engine_name(base_reference), BASE_PARAMETER)
            recipe = ImageInputs(self.parameters, self.s3, Path(private)).recipe(engine, base_image)
            return publish(engine, recipe, image_target(registry, repository, target))


def apply() -> int:
    """Build the image, publish it, and write `module-outputs.json`."""
    seedfarmer, parameters = load(Parameters)
    session = boto3.Session()
    account = Account.current(session)
    _Deployment(seedfarmer, parameters, account, session.client("ecr"), session.client("s3")).run()
    return 0
