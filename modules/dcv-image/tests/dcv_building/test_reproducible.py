"""The same inputs give the same image, with a real engine and a real registry."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dcv_image.shared.ecr import Login
from dcv_image.shared.errors import UserError
from dcv_image.shared_build.engine import Engine
from dcv_image.shared_build.publish import Recipe, Target, build, publish
from dcv_image.shared_build.registry import Registry

from .engine_support import (
    differing_files,
    docker,
    docker_registry,
    has_engine,
    saved_layers,
    small_base,
    wait_for_another_second,
)
from .uncached import without_cache

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not has_engine(), reason="there is no container engine: set DOCKER_HOST"),
]

# What differs between builds: the time in files, in links and in folders, and the builder's host name.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY run.sh /opt/run.sh
RUN mkdir /made && sh /opt/run.sh && touch /bin/sh && ln -s run.sh /opt/link && chmod 4755 /opt/run.sh
ENV KEPT=yes
CMD ["/opt/run.sh"]
"""
SCRIPT = "#!/bin/sh\necho fixed >/made/file\ncp /bin/cat /made/program\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with small_base(tmp_path_factory.mktemp("base")) as name:
        yield name


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.private() as driver:
        yield driver


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "run.sh").write_text(SCRIPT)
    return folder


@pytest.fixture
def recipe(engine: Engine, base: str, context: Path) -> Recipe:
    return Recipe(engine.inspect(base, "base-image"), context)


@pytest.fixture
def target(registry: str) -> Iterator[Target]:
    repository = f"image-{uuid.uuid4().hex[:8]}"
    reader = Registry(f"http://{registry}", Login("anybody", ""))
    yield Target(reader, repository, f"{registry}/{repository}", "new", "test.inputs", "repository", "base")
    subprocess.run(
        ["docker", "image", "rm", f"{registry}/{repository}:new"], capture_output=True, check=False
    )


def local_images() -> set[str]:
    return set(docker("image", "ls", "--all", "--format", "{{.Repository}}:{{.Tag}}").split())


def test_two_builds_give_the_same_image(
    base: str, context: Path, tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{registry}/same:{number}" for number in (1, 2)]
    without_cache(monkeypatch, tmp_path / "bin")
    with Engine.private() as engine:
        recipe = Recipe(engine.inspect(base, "base-image"), context)
        for number, name in enumerate(names):
            os.utime(context / "run.sh", (1_600_000_000 + number, 1_600_000_000 + number))
            build(engine, recipe, {"l": "v"}, name, "base-image")
            wait_for_another_second()
        one, other = (engine.inspect(name, "base-image") for name in names)
        layers = [saved_layers(engine, name, tmp_path) for name in names]
        for name in names:
            engine.push(name, "repository")
            engine.remove(name)
    pushed = [Registry(f"http://{registry}", Login("anybody", "")).find("same", tag) for tag in ("1", "2")]
    assert differing_files(*layers) == {}
    assert one.digest == other.digest
    assert pushed[0] == pushed[1]
    assert one.layers[: len(recipe.base.layers)] == recipe.base.layers


def test_the_image_is_what_was_built(engine: Engine, recipe: Recipe, target: Target) -> None:
    publish(engine, recipe, target)

    shown = docker("run", "--rm", target.reference, "cat", "/opt/link", "/made/file")
    assert shown == f"{SCRIPT}fixed\n"
    found = docker("image", "inspect", "--format", "{{json .Config}}", target.reference)
    assert '"KEPT=yes"' in found
    assert '"/opt/run.sh"' in found


def test_an_unchanged_image_is_neither_built_nor_pushed(
    engine: Engine, recipe: Recipe, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publish(engine, recipe, target)
    docker("image", "rm", target.reference)

    assert publish(engine, recipe, target) == first

    assert "unchanged" in capsys.readouterr().out
    assert target.reference not in local_images()


def test_an_image_can_be_built_on_one_that_was_just_published(
    engine: Engine, recipe: Recipe, target: Target, tmp_path: Path
) -> None:
    parent = publish(engine, recipe, target)
    folder = tmp_path / "child"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN touch /child\n")
    base = engine.pull(f"{target.engine_name}@{parent.digest}", "base-image")

    child = replace(target, tag="child")
    published = publish(engine, Recipe(base, folder), child)
    engine.remove(child.reference)

    assert base.digest == parent.digest
    assert published.digest != parent.digest


@pytest.mark.parametrize("broken", ["RUN no-such-program", "COPY missing /x"])
def test_a_failed_build_publishes_nothing_and_leaves_nothing(
    engine: Engine, recipe: Recipe, target: Target, broken: str
) -> None:
    before = local_images()
    dockerfile = recipe.context / "Dockerfile"
    dockerfile.write_text(f"{DOCKERFILE}{broken}\n")

    with pytest.raises(UserError, match="manifest parameter `base`"):
        publish(engine, recipe, target)

    assert target.registry.find(target.repository, target.tag) is None
    assert local_images() == before


def test_an_image_that_is_not_built_on_its_base_is_refused(
    engine: Engine, recipe: Recipe, target: Target, tmp_path: Path
) -> None:
    with small_base(tmp_path) as other:
        (recipe.context / "Dockerfile").write_text(f"FROM {other}\nRUN touch /made\n")
        stranger = replace(recipe, base=replace(recipe.base, layers=("sha256:0",)))

        with pytest.raises(UserError, match="the image was not built on"):
            publish(engine, stranger, target)

    assert target.registry.find(target.repository, target.tag) is None
