"""Builds the image and publishes it, unless the repository has exactly this image already."""

import hashlib
import json
from pathlib import Path

from .engine import Engine, LocalImage
from .registry import PublishedImage, Registry
from .shared.errors import UserError

TAG = "dcv-latest"
INPUTS_LABEL = "airgap-modules.dcv-image.inputs"
CONTEXT = Path(__file__).resolve().parent.parent / "image"

BASE_PARAMETER = "base-image"
REPOSITORY_PARAMETER = "dcv-ecr-repository-name"


def publish(
    engine: Engine, registry: Registry, repository: str, target: str, base: str, context: Path = CONTEXT
) -> PublishedImage:
    """Make `repository`'s tag `dcv-latest` the image that the inputs describe.

    Args:
        engine: builds and pushes.
        registry: tells what `repository` has now.
        repository: name of the repository in the registry.
        target: the same repository as the engine reaches it.
        base: image to build on, as the engine reaches it.
        context: folder with the Dockerfile.

    Raises:
        UserError: the base image does not exist, or building or pushing failed. Nothing was tagged then.
    """
    image = engine.pull(base, BASE_PARAMETER)
    inputs = fingerprint(context, image)
    published = registry.find(repository, TAG)
    if published and published.labels.get(INPUTS_LABEL) == inputs:
        print(f"unchanged: {repository}:{TAG} was built from these inputs, {published.digest}")
        return published
    arguments = {"BASE_IMAGE": image.repository_digest}
    engine.build(context, f"{target}:{TAG}", arguments, {INPUTS_LABEL: inputs}, BASE_PARAMETER)
    engine.push(f"{target}:{TAG}", REPOSITORY_PARAMETER)
    published = registry.find(repository, TAG)
    if published is None:
        raise UserError(f"{repository}:{TAG} was pushed, but the registry does not have it")
    print(f"published: {repository}:{TAG}, {published.digest}")
    return published


def fingerprint(context: Path, base: LocalImage) -> str:
    """Hash of all that the image is made from.

    The base counts by its digest, wherever it is reached. The digest of a multi-architecture base is
    the same on every machine, so the architecture is part of it. File modes are not: a SeedFarmer
    bundle does not keep them and the Dockerfile sets them.
    """
    files = {
        path.relative_to(context).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in context.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inputs = {"files": files, "base": base.digest, "architecture": base.architecture}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
