"""Archives and layers of bases that would take more than a build may."""

import io
import tarfile
from pathlib import Path

import pytest
from image_builder.building.assembled.archives import unpack
from image_builder.building.assembled.base_index import BaseIndex, read_layers
from image_builder.building.assembled.nodes import Kind, Node
from image_builder.building.assembled.spool import Spool
from image_builder.building.assembled.tree import Tree
from image_builder.building.errors import InvalidRequestError
from image_builder.building.stop import Stop

LONG = "a/" * 2048 + "a"


def member(name: str, **fields: object) -> tarfile.TarInfo:
    """A header of an archive."""
    header = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(header, field, value)
    return header


def archive(*headers: tarfile.TarInfo) -> bytes:
    """An archive of entries whose content are zeros."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for header in headers:
            tar.addfile(header, io.BytesIO(bytes(header.size)) if header.isreg() else None)
    return buffer.getvalue()


def unpacked(content: bytes, folder: Path, limit: int = 1_000_000, entries: int = 100) -> dict[str, Node]:
    """What is in an archive of a request."""
    node = Node(Kind.FILE, 0o644, size=len(content), content=content)
    with Spool(folder / "content", limit, entries, Stop()) as spool:
        return dict(unpack(node, spool, "layers[1]"))


def indexed(folder: Path, *layers: bytes) -> BaseIndex:
    """What layers of a base hold."""
    paths = [folder / f"layer-{number}" for number in range(len(layers))]
    for path, layer in zip(paths, layers, strict=True):
        path.write_bytes(layer)
    return read_layers(paths, Stop())


@pytest.mark.parametrize(
    "header", [member(LONG), member("link", type=tarfile.SYMTYPE, linkname=LONG)], ids=["name", "target"]
)
def test_paths_are_no_longer_than_linux_has_them(header: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="more than 4096 bytes"):
        unpacked(archive(header), tmp_path)
    with pytest.raises(tarfile.TarError, match="more than 4096 bytes"):
        indexed(tmp_path, archive(header))


def test_links_do_not_make_a_path_longer_than_linux_has_them(tmp_path: Path) -> None:
    links = [member(f"l{n}", type=tarfile.SYMTYPE, linkname="a/" * 2000 + f"l{n + 1}") for n in range(3)]
    folders = [
        member("a/" * 2000 + f"l{n + 1}", type=tarfile.SYMTYPE, linkname="a/" * 2000) for n in range(3)
    ]

    with pytest.raises(InvalidRequestError, match="longer than 4096 bytes"):
        Tree(indexed(tmp_path, archive(*links, *folders))).resolve("l0")
    with pytest.raises(InvalidRequestError, match="longer than 4096 bytes"):
        Tree(BaseIndex()).resolve(LONG)
