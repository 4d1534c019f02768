"""Images whose commands are run, by a real buildah in a user namespace."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_builder.layers.image import Image

from .support import Bench, bench, file_entry

pytestmark = pytest.mark.engine


@pytest.fixture
def builder(registry: str, base: str) -> Iterator[Bench]:
    """A builder whose folders every user can reach: pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="image-builder-test-"))
    folder.chmod(0o711)
    yield bench(registry, folder)
    shutil.rmtree(folder)


def test_a_command_changes_files_and_nothing_but_them_is_in_the_layer(builder: Bench, base: str) -> None:
    image = Image("ran").stage(base, "1").run("echo made > /srv/made; rm /srv/kept").cmd(["cat", "/srv/made"])

    result = builder.build(image)

    pulled = builder.pull("team/ran:latest")
    assert pulled.tree["srv/made"] == file_entry(b"made\n")
    assert "srv/kept" not in pulled.tree
    assert pulled.config["config"]["Cmd"] == ["cat", "/srv/made"]
    assert result.way == "commands"
    assert list(builder.settings.work.iterdir()) == []
