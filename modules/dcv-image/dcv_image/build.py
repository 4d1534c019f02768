"""What the DCV image is made from, and under which tag it is published."""

from pathlib import Path

from .shared_build.engine import Engine
from .shared_build.publish import Recipe, Target, publish
from .shared_build.registry import PublishedImage, Registry

TAG = "dcv-latest"
INPUTS_LABEL = "airgap-modules.dcv-image.inputs"
CONTEXT = Path(__file__).resolve().parent.parent / "image"

BASE_PARAMETER = "base-image"
REPOSITORY_PARAMETER = "dcv-ecr-repository-name"


def build_image(
    engine: Engine, registry: Registry, repository: str, engine_name: str, base: str
) -> PublishedImage:
    """Make `repository`'s tag `dcv-latest` the image that the module's files describe.

    Args:
        engine: builds and pushes.
        registry: tells what `repository` has now.
        repository: name of the repository in the registry.
        engine_name: the same repository as the engine reaches it.
        base: image to build on, as the engine reaches it.

    Raises:
        UserError: the base image does not exist, or building or pushing failed. Nothing was tagged then.
    """
    recipe = Recipe(engine.pull(base, BASE_PARAMETER), CONTEXT)
    target = Target(
        registry, repository, engine_name, TAG, INPUTS_LABEL, REPOSITORY_PARAMETER, BASE_PARAMETER
    )
    return publish(engine, recipe, target)
