"""What layers put into a stage, and under which names."""

from pathlib import Path

import pytest
from image_builder.building.assembled.base_index import BaseIndex
from image_builder.building.assembled.nodes import FOLDER, Kind, Node
from image_builder.building.assembled.runtime import Runtime
from image_builder.building.assembled.spool import Spool
from image_builder.building.assembled.stage import Materials, StageResult, apply
from image_builder.building.assembled.tree import Tree
from image_builder.building.bases import Base
from image_builder.building.stages import plan
from image_builder.building.stop import Stop
from image_builder.layers.image import Image

_FILE = Node(Kind.FILE, 0o755, size=1, content=b"x")


def _stage(**nodes: Node) -> StageResult:
    return StageResult(Runtime(Base(None, {}), {}), Tree(BaseIndex(), dict(nodes)), [])


def _applied(image: Image, folder: Path, files: dict[str, Node], origin: StageResult) -> dict[str, Node]:
    result = _stage()
    with Spool(folder / "content", 1000, 10, Stop()) as spool:
        apply(result, image.request().layers[-1], 1, Materials(files, {}, {"other": origin}, spool))
    assert result.tree is not None
    return {path: node for path, node in result.tree.changes.items() if node != FOLDER}


def test_what_a_link_leads_to_has_the_links_name(tmp_path: Path) -> None:
    origin = _stage(python=Node(Kind.SYMLINK, 0o777, target="/python3.11"), **{"python3.11": _FILE})
    image = Image("any").stage("scratch").copy("/python", "/opt/bin/", from_layer="other")

    assert _applied(image, tmp_path, {}, origin) == {"opt/bin/python": _FILE}


@pytest.mark.parametrize("destination", ["/foo/", "/foo/.", "/foo/bar/.."])
def test_a_destination_that_ends_as_a_folder_is_one(destination: str, tmp_path: Path) -> None:
    image = Image("any").stage("scratch").copy("a", destination)

    assert _applied(image, tmp_path, {"a": _FILE}, _stage()) == {"foo/a": _FILE}


def test_only_stages_that_the_image_needs_take_files() -> None:
    unneeded = Image("any").stage("scratch", alias="first").copy("a", "/a").stage("scratch")
    later = Image("any").stage("scratch").onbuild(Image("x").copy("a", "/a").layers[0])  # type: ignore[arg-type]

    assert not plan(unneeded.request().layers).needs_files
    assert not plan(later.request().layers).needs_files
    assert plan(Image("any").stage("scratch").copy("a", "/a").request().layers).needs_files
