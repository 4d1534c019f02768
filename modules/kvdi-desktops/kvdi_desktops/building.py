"""Builds images one after the other, each on the one that it stands on, and says which failed."""

from collections.abc import Callable, Sequence

from . import catalogue
from .catalogue import Image
from .shared.errors import UserError
from .shared_build.engine import LocalImage
from .shared_build.publish import Recipe
from .shared_build.registry import PublishedImage

PARTS = "parts"  # folder of what all desktops share
LABEL = "airgap-modules.kvdi-desktops.inputs"
TITLE_LABEL = "org.opencontainers.image.title"


Publish = Callable[[Image, PublishedImage | None], PublishedImage]


def build_all(images: Sequence[Image], publish: Publish) -> dict[str, PublishedImage]:
    """Build every image; the failure of one stops only those that stand on it.

    Args:
        images: each after the one that it stands on.
        publish: builds one and publishes it, given the image that it stands on (None for a public base).

    Raises:
        UserError: at least one failed; says which, and why.
    """
    done: dict[str, PublishedImage] = {}
    failed: dict[str, str] = {}
    for image in images:
        if image.parent in failed:
            failed[image.name] = f"was not built, because {image.parent} failed"
            continue
        print(f"image {image.name}", flush=True)
        try:
            done[image.name] = publish(image, done[image.parent] if image.parent else None)
        except UserError as error:
            failed[image.name] = str(error)
    if failed:
        reasons = "\n".join(f"  - {name}: {reason}" for name, reason in failed.items())
        raise UserError(f"{len(failed)} of {len(images)} images could not be built or published:\n{reasons}")
    return done


def recipe(image: Image, base: LocalImage, mirror: str) -> Recipe:
    """All that an image is made from.

    Args:
        image: what to build.
        base: what to build it on.
        mirror: URL of the operating system's packages; empty for the base's own sources.
    """
    return Recipe(
        base=base,
        context=catalogue.FOLDER,
        paths=(PARTS, image.desktop),
        dockerfile=f"{image.desktop}/Dockerfile",
        arguments={"SYSTEM": image.system, "FAMILY": image.family, "OS_PACKAGES_MIRROR": mirror},
        labels={TITLE_LABEL: image.name},
    )
