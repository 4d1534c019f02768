"""`apply`: from the module's parameters to published images and the module's outputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

from .building import LABEL, build_all, recipe
from .catalogue import Image
from .module_outputs import IMAGE_DIGEST_URIS, IMAGE_URIS
from .owner import desktops_owner
from .settings import Parameters
from .shared.account import Account
from .shared.ecr import Login, ensure_repository, login
from .shared.errors import UserError
from .shared.outputs import write_outputs
from .shared.settings import SeedFarmerSettings, load
from .shared_build import base
from .shared_build.base import ResolvedBase
from .shared_build.engine import Engine, LocalImage
from .shared_build.publish import Target, publish
from .shared_build.registry import PublishedImage, Registry
from .shared_build.use import record_use

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

TAG = "latest"
IMAGES_PARAMETER = "images"
PREFIX_PARAMETER = "ecr-repository-prefix"
# SeedFarmer keeps a module's metadata in one parameter of Systems Manager (its quota: 8 KB in the
# advanced tier), with a few other values beside ours.
MAX_METADATA = 8192 - 512  # bytes
A_DIGEST = f"sha256:{'0' * 64}"


def apply() -> int:
    """Build the images, publish them, and write `module-outputs.json`."""
    seedfarmer, parameters = load(Parameters)
    session = boto3.Session()
    account = Account.current(session)
    _Deployment(seedfarmer, parameters, account, session.client("ecr"), session.client("s3")).run()
    return 0


def outputs(uris: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, str]:
    """The module's outputs.

    Args:
        uris: name of the image -> URI of its repository.
        digests: name of the image -> digest.

    Raises:
        UserError: SeedFarmer has no room for so many.
    """
    by_tag = {name: f"{uri}:{TAG}" for name, uri in uris.items()}
    by_digest = {name: f"{uri}@{digests[name]}" for name, uri in uris.items()}
    made = {IMAGE_URIS: json.dumps(by_tag), IMAGE_DIGEST_URIS: json.dumps(by_digest)}
    size = len(json.dumps(made).encode())
    if size > MAX_METADATA:
        raise UserError(
            f"manifest parameter `{IMAGES_PARAMETER}`: the URIs of {len(uris)} images take {size} bytes, and "
            f"SeedFarmer has room for {MAX_METADATA}: build fewer, or let two modules build some of them each"
        )
    return made


@dataclass(frozen=True)
class _Deployment:
    """One run of `apply`."""

    seedfarmer: SeedFarmerSettings
    parameters: Parameters
    account: Account
    ecr: "ECRClient"
    s3: "S3Client"

    def run(self) -> None:
        images = self.parameters.selected
        names = {image.name: self._repository(image) for image in images}
        host = self.account.ecr_host
        # What cannot be handed over is found out before anything is made.
        outputs({name: f"{host}/{it}" for name, it in names.items()}, dict.fromkeys(names, A_DIGEST))
        bases = self._bases(images)
        references = [found.reference for found in bases.values()]
        record_use(self.s3, self.account, self.seedfarmer, names.values(), references)
        owner = desktops_owner(self.seedfarmer.project_name)
        uris = {name: ensure_repository(self.ecr, repository, owner) for name, repository in names.items()}
        with Engine.private() as engine:
            built = _Publication(engine, self.parameters, bases, uris, login(self.ecr)).all(images)
        digests = {name: image.digest for name, image in built.items()}
        write_outputs(outputs(uris, digests))

    def _repository(self, image: Image) -> str:
        return f"{self.parameters.repository_prefix(self.seedfarmer.project_name)}/{image.name}"

    def _bases(self, images: Sequence[Image]) -> dict[str, ResolvedBase]:
        """System -> what to build its images on."""
        inventory = self.parameters.replicated_ecr_images_metadata_s3_path
        systems = dict.fromkeys(image.system for image in images)
        return {name: base.resolve(self.s3, self.parameters.bases[name], inventory) for name in systems}


@dataclass(frozen=True)
class _Publication:
    """The part of a run that needs the engine.

    Attributes:
        bases: system -> public base.
        uris: name of the image -> URI of its repository.
    """

    engine: Engine
    parameters: Parameters
    bases: Mapping[str, ResolvedBase]
    uris: Mapping[str, str]
    credentials: Login

    def all(self, images: Sequence[Image]) -> dict[str, PublishedImage]:
        for host in sorted({self._target_name(image.name).partition("/")[0] for image in images}):
            self.engine.login(host, self.credentials)
        return build_all(images, self._one)

    def _one(self, image: Image, parent: PublishedImage | None) -> PublishedImage:
        if image.parent and parent:
            # By digest: exactly what this run has found or made, whoever moves the tag meanwhile.
            found = self.engine.pull(f"{self._target_name(image.parent)}@{parent.digest}", PREFIX_PARAMETER)
        else:
            found = self._public_base(image)
        mirror = self.parameters.os_packages_mirror or ""
        return publish(self.engine, recipe(image, found, mirror), self._target(image))

    def _public_base(self, image: Image) -> LocalImage:
        resolved = self.bases[image.system]
        print(f"base image: {resolved.reference}{f' ({resolved.hint})' if resolved.hint else ''}")
        reference = self.parameters.endpoints.engine_name(resolved.reference)
        return self.engine.pull(reference, _base_parameter(image))

    def _target(self, image: Image) -> Target:
        host, _, repository = self.uris[image.name].partition("/")
        return Target(
            registry=Registry(self.parameters.endpoints.base_url(host), self.credentials),
            repository=repository,
            engine_name=self._target_name(image.name),
            tag=TAG,
            label=LABEL,
            repository_parameter=PREFIX_PARAMETER,
            base_parameter=_base_parameter(image),
        )

    def _target_name(self, name: str) -> str:
        """The image's repository as the engine reaches it."""
        return self.parameters.endpoints.engine_name(self.uris[name])


def _base_parameter(image: Image) -> str:
    return f"{image.system}-base-image"
