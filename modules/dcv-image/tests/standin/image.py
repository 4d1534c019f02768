"""The whole image with the stand-in in it, built by the module's own code."""

import tempfile
from pathlib import Path

import boto3
from dcv_image.build import BASE_PARAMETER, ImageInputs
from dcv_image.settings import Parameters
from dcv_image.shared_build.engine import Engine
from dcv_image.shared_build.publish import build

from .archive import StandIn


def parameters(standin: StandIn, base: str, **others: str) -> Parameters:
    """What a manifest says; the stand-in's folder is the module's."""
    given = {**standin.parameters(lambda path: path.name), "base-image": base, **others}
    fields = {name.replace("-", "_"): value for name, value in given.items()}
    return Parameters(dcv_ecr_repository_name="dcv", **fields)  # type: ignore[arg-type]  # as the environment has them


def build_image(engine: Engine, standin: StandIn, base: str, reference: str, **others: str) -> None:
    """Build on an image that the engine holds, and tag the result.

    Args:
        engine: builds.
        standin: the archive to install.
        base: name of the image to build on.
        reference: name and tag of the result.
        others: more manifest parameters.
    """
    given = parameters(standin, base, **others)
    with tempfile.TemporaryDirectory(prefix="image-inputs-") as private:
        s3 = boto3.client("s3", region_name="us-east-1")
        inputs = ImageInputs(given, s3, Path(private), standin.archive.parent)
        recipe = inputs.recipe(engine, engine.inspect(base, BASE_PARAMETER))
        build(engine, recipe, {}, reference, BASE_PARAMETER)
