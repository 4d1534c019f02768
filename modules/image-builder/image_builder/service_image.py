"""What the service's image is made from."""

from collections.abc import Mapping
from pathlib import Path

from .shared_build.engine import LocalImage
from .shared_build.publish import Recipe

MODULE = Path(__file__).resolve().parent.parent
DOCKERFILE = "image/Dockerfile"
PATHS = ("image", "image_builder")  # what of the module counts
# Names under which the Dockerfile mounts what a mirror needs; both are optional.
OS_PACKAGES_MIRROR = "os-packages-mirror"  # a sources.list
PIP_CONFIGURATION = "pip-conf"  # a pip.conf


def recipe(base: LocalImage, secrets: Mapping[str, Path]) -> Recipe:
    """The service's image on a base.

    Args:
        base: Debian 12 or newer, as the engine has it.
        secrets: files by the names above; no layer has them.
    """
    return Recipe(base=base, context=MODULE, paths=PATHS, dockerfile=DOCKERFILE, secrets=secrets)
