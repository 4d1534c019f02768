"""What the DCV image is made from, and under which tag it is published."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import operating_systems, python_packages
from .locations import Source
from .operating_systems import RELEASE_FILE, OperatingSystem
from .settings import Parameters
from .shared_build.engine import Engine, LocalImage
from .shared_build.publish import Recipe, Target
from .shared_build.registry import Registry
from .signing_key import armoured, verified_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TAG = "dcv-latest"
INPUTS_LABEL = "airgap-modules.dcv-image.inputs"
MODULE = Path(__file__).resolve().parent.parent
CONTEXT = MODULE / "image"
REQUIREMENTS = CONTEXT / "requirements.txt"
# What the build's own copy of the context has beside the files of `image/`; see image/Dockerfile.
DOWNLOADS = "downloads"
PYTHON_PACKAGES = "python-packages"
NO_MIRROR = "# the base image's own sources\n"  # BuildKit mounts no empty file
MIRROR_SECRET = "os-packages-mirror"  # noqa: S105 - a name

BASE_PARAMETER = "base-image"
REPOSITORY_PARAMETER = "dcv-ecr-repository-name"


def image_target(registry: Registry, repository: str, engine_name: str) -> Target:
    """The tag `dcv-latest` of the repository.

    Args:
        registry: tells what `repository` has now.
        repository: name of the repository in the registry.
        engine_name: the same repository as the engine reaches it.
    """
    return Target(registry, repository, engine_name, TAG, INPUTS_LABEL, REPOSITORY_PARAMETER, BASE_PARAMETER)


@dataclass(frozen=True)
class ImageInputs:
    """Everything that one build needs from outside the module.

    Attributes:
        parameters: say where it is, and how it is verified.
        s3: reads `s3://` locations.
        private: a folder of ours, for what must not come into the image.
        module: folder that relative locations start from.
    """

    parameters: Parameters
    s3: "S3Client"
    private: Path
    module: Path = field(default=MODULE)

    def recipe(self, engine: Engine, base: LocalImage) -> Recipe:
        """What the image is made from.

        Raises:
            UserError: the base's operating system or architecture is none that can be installed on.
        """
        given = self.parameters
        architecture = operating_systems.vendor_architecture(
            base.architecture, given.base_image, BASE_PARAMETER
        )
        release = engine.read_file(base.reference, RELEASE_FILE, BASE_PARAMETER)
        system = operating_systems.identify(release.decode(), given.base_image, BASE_PARAMETER)
        return Recipe(
            base,
            CONTEXT,
            arguments={"UNSIGNED_DEB": given.dcv_unsigned_deb},
            inputs={
                "dcv": given.dcv_archive_sha256,
                "signing key": given.dcv_signing_key_fingerprint,
                "aws-cli": given.aws_cli_archive_sha256 or "",
            },
            secrets=self._mirror(),
            prepare=lambda context: self._prepare(context, system, architecture),
        )

    def _mirror(self) -> dict[str, Path]:
        """The mirror's package sources; a comment when there is none, for every build has the same mounts."""
        location = self.parameters.os_packages_mirror
        file = self.private / MIRROR_SECRET
        if location is None:
            file.write_text(NO_MIRROR, encoding="utf-8")
        else:
            self._source.fetch(location, file, MIRROR_SECRET)
        return {MIRROR_SECRET: file}

    def _prepare(self, context: Path, system: OperatingSystem, architecture: str) -> None:
        """Fetch and verify what the build needs; nothing unverified comes into the context."""
        downloads = context / DOWNLOADS
        downloads.mkdir()
        self._fetch_key(downloads)
        self._source.fetch(
            self.parameters.archive_for(system.dcv_name, architecture),
            downloads / "nice-dcv.tgz",
            "dcv-archive",
            self.parameters.dcv_archive_sha256,
        )
        if self.parameters.aws_cli_archive:
            self._source.fetch(
                self.parameters.aws_cli_archive,
                downloads / "awscli.zip",
                "aws-cli-archive",
                self.parameters.aws_cli_archive_sha256,
            )
        python_packages.install(REQUIREMENTS, context / PYTHON_PACKAGES, system.python, architecture)

    def _fetch_key(self, downloads: Path) -> None:
        """Both forms of the key: gpgv reads the binary one, rpm the armoured one."""
        name = "dcv-signing-key"
        file = downloads / f"{name}.gpg"
        self._source.fetch(self.parameters.dcv_signing_key, file, name)
        key = verified_key(file.read_bytes(), self.parameters.dcv_signing_key_fingerprint, name)
        file.write_bytes(key)
        (downloads / f"{name}.asc").write_bytes(armoured(key))

    @property
    def _source(self) -> Source:
        return Source(self.module, self.s3)
