"""What the service's image is made from, and under which tag it is published."""

from collections.abc import Mapping
from pathlib import Path

from ..settings import Parameters
from ..shared_build.engine import LocalImage
from ..shared_build.publish import Recipe, Target
from ..shared_build.registry import Registry

TAG = "latest"
LABEL = "airgap-modules.image-builder.inputs"
MODULE = Path(__file__).resolve().parents[2]
DOCKERFILE = "image/Dockerfile"
# All that the Dockerfile copies, so that a changed test or README builds nothing.
PATHS = ("image", "image_builder")
BASE_PARAMETER = "base-image"
REPOSITORY_PARAMETER = "ecr-repository-name"
# What the Dockerfile's steps may mount; both are optional.
MIRROR_SECRET = "os-packages-mirror"  # noqa: S105  a name
INDEX_SECRET = "pip-conf"  # noqa: S105  a name
# Where SeedFarmer's `pypiMirror` sets the package index for the build (`pip config set global.index-url`).
PIP_CONFIGURATION = Path(".config", "pip", "pip.conf")
SUITE = "bookworm"


def service_recipe(parameters: Parameters, base: LocalImage, private: Path, home: Path) -> Recipe:
    """All that the image is made from.

    Args:
        parameters: of the module.
        base: what to build it on.
        private: a folder of ours, for what must not come into the image.
        home: folder of the user that builds, who may have a package index of their own.
    """
    return Recipe(
        base=base,
        context=MODULE,
        paths=PATHS,
        dockerfile=DOCKERFILE,
        labels={"org.opencontainers.image.title": "image-builder"},
        secrets=_secrets(parameters, private, home),
    )


def service_target(registry: Registry, repository: str, engine_name: str) -> Target:
    """The tag of the repository.

    Args:
        registry: tells what `repository` has now.
        repository: name of the repository in the registry.
        engine_name: the same repository as the engine reaches it.
    """
    return Target(registry, repository, engine_name, TAG, LABEL, REPOSITORY_PARAMETER, BASE_PARAMETER)


def _secrets(parameters: Parameters, private: Path, home: Path) -> Mapping[str, Path]:
    secrets = {}
    if parameters.os_packages_mirror:
        secrets[MIRROR_SECRET] = private / "sources.list"
        secrets[MIRROR_SECRET].write_text(_sources(parameters.os_packages_mirror), encoding="utf-8")
    if (home / PIP_CONFIGURATION).is_file():
        secrets[INDEX_SECRET] = home / PIP_CONFIGURATION
    return secrets


def _sources(mirror: str) -> str:
    """Debian's three suites, as sources.list(5) has them."""
    return (
        f"deb {mirror}/debian {SUITE} main\n"
        f"deb {mirror}/debian {SUITE}-updates main\n"
        f"deb {mirror}/debian-security {SUITE}-security main\n"
    )
