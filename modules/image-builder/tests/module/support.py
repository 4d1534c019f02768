"""A small chart, and what stands for the engine where the order of things is the point."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from image_builder.shared.ecr import Login
from image_builder.shared.errors import UserError
from image_builder.shared_build.engine import Engine, LocalImage
from image_builder.shared_build.publish import Recipe, Target
from image_builder.shared_build.registry import PublishedImage

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
PREFIX = "SEEDFARMER_PARAMETER_"
BASE_DIGEST = f"sha256:{'b' * 64}"
IMAGE_DIGEST = f"sha256:{'c' * 64}"
CHART = "apiVersion: v2\nname: dcrx-kv\nversion: 1.2.3\ndescription: builds images\n"


def write_chart(folder: Path) -> Path:
    """A chart of one template, and a hidden file, which SeedFarmer would not ship."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART)
    (folder / "values.yaml").write_text("answer: 42\n")
    (folder / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    (folder / ".helmignore").write_text("*.md\n")
    return folder


@dataclass
class Workshop:
    """Stands for engine and registry: remembers what it was asked for, and fails where it is told to."""

    pulled: list[str] = field(default_factory=list)
    published: list[tuple[Recipe, Target]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)

    @contextmanager
    def private(self) -> Iterator["Workshop"]:
        """In place of `Engine.private`."""
        yield self

    def login(self, host: str, _: Login) -> None:
        self.logins.append(host)

    def pull(self, reference: str, parameter: str) -> LocalImage:
        if reference in self.fails:
            raise UserError(f"manifest parameter `{parameter}`: {reference} cannot be pulled")
        self.pulled.append(reference)
        name = reference.partition("@")[0]
        return LocalImage(
            f"{name}@{BASE_DIGEST}", BASE_DIGEST, "amd64", (), 1, datetime(2026, 1, 1, tzinfo=UTC)
        )

    def publish(self, _: Engine, recipe: Recipe, target: Target) -> PublishedImage:
        """In place of `publish`."""
        self.published.append((recipe, target))
        return PublishedImage(IMAGE_DIGEST, {})
