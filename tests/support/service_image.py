"""The image of image-builder's service in the container engine, built by the module's own code."""

import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_builder.release.image import BASE_PARAMETER, service_recipe
from image_builder.settings import Parameters
from image_builder.shared_build.engine import Engine
from image_builder.shared_build.publish import build

from .debian_base import debian_base


@contextmanager
def service_image() -> Iterator[str]:
    """Build it under a name of its own: a minute when the engine has none of its steps."""
    name = f"localhost/airgap-test-image-builder:{uuid.uuid4().hex}"
    try:
        with debian_base() as base:
            build_service_image(base, name)
        yield name
    finally:
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def build_service_image(base: str, reference: str) -> None:
    """Build it on an image that the engine holds, and tag the result."""
    with Engine.private() as engine, tempfile.TemporaryDirectory(prefix="image-inputs-") as private:
        found = engine.inspect(base, BASE_PARAMETER)
        recipe = service_recipe(Parameters(), found, Path(private), Path.home())
        build(engine, recipe, recipe.labels, reference, BASE_PARAMETER)
