"""Builds an image and publishes it, unless the repository has exactly this image already."""

import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..shared.errors import UserError
from .build_context import files, fingerprint, settle, stage
from .engine import Engine, LocalImage
from .registry import PublishedImage, Registry
from .saved_image import normalise

BASE_ARGUMENT = "BASE_IMAGE"
# Raised when the same inputs give another image because of how it is built here.
FORMAT = 1
_LOCAL = "airgap-modules.invalid/build"


def _nothing_more(_: Path) -> None:
    """What most images need besides their own files."""


@dataclass(frozen=True)
class Recipe:
    """All that an image is made from.

    Attributes:
        base: image to build on; the Dockerfile gets it as `BASE_IMAGE`.
        context: folder with the Dockerfile.
        paths: what of the folder counts, relative to it.
        dockerfile: relative to the folder.
        arguments: build arguments. They stand in the image's history, so none is a secret.
        labels: labels of the image.
        inputs: what else counts, such as checksums of what `prepare` adds.
        secrets: files that steps of the build may mount, by id; they count as no input.
        prepare: adds files to the build's own copy of the context; called only when there is a build.
    """

    base: LocalImage
    context: Path
    paths: Sequence[str] = (".",)
    dockerfile: str = "Dockerfile"
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    prepare: Callable[[Path], None] = _nothing_more

    @property
    def content(self) -> dict[str, Path]:
        """The files of the context, by name."""
        return files(self.context, self.paths)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the image is made from.

        The base counts by its digest, wherever it is reached. The digest of a multi-architecture base
        is the same on every machine, so the architecture is part of it. File modes are not.
        """
        inputs = {
            "format": FORMAT,
            "base": self.base.digest,
            "architecture": self.base.architecture,
            "dockerfile": self.dockerfile,
            "arguments": dict(self.arguments),
            "labels": dict(self.labels),
            "inputs": dict(self.inputs),
        }
        return fingerprint(self.content, inputs)


@dataclass(frozen=True)
class Target:
    """Where an image is published.

    Attributes:
        registry: tells what the repository has now.
        repository: name of the repository in the registry.
        engine_name: the same repository as the engine reaches it.
        tag: the tag.
        label: name of the label that holds the fingerprint.
        repository_parameter: manifest parameter to name when pushing fails.
        base_parameter: manifest parameter to name when building fails.
    """

    registry: Registry
    repository: str
    engine_name: str
    tag: str
    label: str
    repository_parameter: str
    base_parameter: str

    @property
    def reference(self) -> str:
        """As the engine pushes it."""
        return f"{self.engine_name}:{self.tag}"


def publish(engine: Engine, recipe: Recipe, target: Target) -> PublishedImage:
    """Make the target's tag the image that the recipe describes.

    Raises:
        UserError: building or pushing failed. The tag is what it was then.
    """
    inputs = recipe.fingerprint
    shown = f"{target.repository}:{target.tag}"
    published = target.registry.find(target.repository, target.tag)
    if published and published.labels.get(target.label) == inputs:
        print(f"unchanged: {shown} was built from these inputs, {published.digest}")
        return published
    labels = {**recipe.labels, target.label: inputs}
    build(engine, recipe, labels, target.reference, target.base_parameter)
    try:
        engine.push(target.reference, target.repository_parameter)
    except BaseException:
        engine.remove(target.reference)
        raise
    published = target.registry.find(target.repository, target.tag)
    if published is None:
        raise UserError(f"{shown} was pushed, but the registry does not have it")
    if published.labels.get(target.label) != inputs:
        raise UserError(f"{shown} was pushed, and replaced at once by another run: run again later")
    print(f"published: {shown}, {published.digest}")
    return published


def build(
    engine: Engine, recipe: Recipe, labels: Mapping[str, str], reference: str, base_parameter: str
) -> None:
    """Build the image so that the same recipe always gives the same one, and tag it in the engine.

    Args:
        engine: builds and holds the image.
        recipe: what it is made from.
        labels: all labels of the image.
        reference: name and tag that the engine gives it.
        base_parameter: manifest parameter to name when building fails.

    Raises:
        UserError: building failed. The engine has neither the image nor a half of it.
    """
    local = f"{_LOCAL}:{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="image-build-") as folder:
        context = Path(folder, "context")
        context.mkdir()
        stage(recipe.content, context)
        recipe.prepare(context)
        settle(context)
        arguments = {BASE_ARGUMENT: recipe.base.reference, **recipe.arguments}
        saved = Path(folder, "image.tar")
        try:
            engine.build(
                context,
                local,
                dockerfile=recipe.dockerfile,
                arguments=arguments,
                labels=labels,
                secrets=recipe.secrets,
                parameter=base_parameter,
            )
            engine.save(local, saved)
        finally:
            engine.remove(local)
        engine.load(lambda stream: normalise(saved, recipe.base, reference, stream))
