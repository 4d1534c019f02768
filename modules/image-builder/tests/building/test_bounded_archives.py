"""Archives and layers of bases that would take more than a build may."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from image_builder.building.assembled.archives import is_archive, unpack
from image_builder.building.assembled.base_content import filled
from image_builder.building.assembled.base_index import BaseIndex, read_layers
from image_builder.building.assembled.nodes import Kind, Node
from image_builder.building.assembled.spool import Spool
from image_builder.building.assembled.tree import Tree
from image_builder.building.errors import InvalidRequestError, LimitExceededError
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
    return read_layers(paths, 10_000, Stop())


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


PACK = pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def bomb(kind: bytes, size: int) -> bytes:
    """An archive that is one header of a kind, and zeros."""
    return member("x", type=kind, size=size).tobuf(tarfile.USTAR_FORMAT) + bytes(size)


@PACK
def test_archives_are_read_whichever_way_they_are_packed(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    content = archive(*(member(name, size=70_000) for name in "abc"))
    packed = pack(content[:100_000]) + pack(content[100_000:])

    assert is_archive(Node(Kind.FILE, 0o644, size=len(packed), content=packed))
    assert list(unpacked(packed, tmp_path)) == ["a", "b", "c"]
    assert list(indexed(tmp_path, packed).nodes) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", HEADERS)
@PACK
def test_headers_are_not_read_whole(kind: bytes, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    size = 30_000_000
    packed = pack(bomb(kind, size))
    tracemalloc.start()
    try:
        assert not is_archive(Node(Kind.FILE, 0o644, size=len(packed), content=packed)) or pack is bytes
        with pytest.raises(InvalidRequestError, match="broken"):
            unpacked(packed, tmp_path)
        with pytest.raises(tarfile.ReadError, match=f"a header has {size} bytes"):
            indexed(tmp_path, packed)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < size // 2


def test_headers_in_headers_are_a_broken_archive(tmp_path: Path) -> None:
    nested = bomb(tarfile.XHDTYPE, 0) * 2_000

    with pytest.raises(InvalidRequestError, match="broken"):
        unpacked(nested, tmp_path)


def test_headers_for_all_entries_are_bounded_in_sum(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="broken"):
        unpacked(
            (bomb(tarfile.XGLTYPE, 60_000)[:-60_000] + bytes(60_416) + archive(member("a"))[:512]) * 30,
            tmp_path,
        )


def test_an_archive_has_no_more_bytes_than_its_entries_may_have(tmp_path: Path) -> None:
    """Files are counted by what their headers say, and headers by their bytes."""
    packed = gzip.compress(archive(member("a", type=tarfile.DIRTYPE), member("b", size=3_000_000)))

    with pytest.raises(LimitExceededError, match="more than 1000000 bytes"):
        unpacked(packed, tmp_path)
    commented = [member(f"{n}", pax_headers={"comment": "x" * 60_000}) for n in range(40)]
    with pytest.raises(LimitExceededError, match="the archive has more than"):
        unpacked(gzip.compress(archive(*commented)), tmp_path)


def test_sizes_are_not_negative(tmp_path: Path) -> None:
    header = member("a", pax_headers={"size": "-100000"})

    with pytest.raises(InvalidRequestError, match="broken"):
        unpacked(archive(header, member("b")), tmp_path)


def test_files_with_holes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="broken"):
        unpacked(bomb(tarfile.GNUTYPE_SPARSE, 0) + bytes(1024), tmp_path)


def test_entries_of_a_base_are_counted_with_the_folders_above_them(tmp_path: Path) -> None:
    indexed(tmp_path, archive(*(member(f"{n}") for n in range(10_000))))

    with pytest.raises(LimitExceededError, match="more than 10000 entries"):
        indexed(tmp_path, *[archive(*(member(f"{n}") for n in range(5_001)))] * 2)
    with pytest.raises(LimitExceededError, match="more than 10000 entries"):
        indexed(tmp_path, archive(*(member(f"{n}" + "/a" * 1000) for n in range(11))))


def test_folders_are_there_for_which_a_base_has_no_entries(tmp_path: Path) -> None:
    tree = Tree(indexed(tmp_path, archive(member("usr/bin/sh"))))

    assert tree.is_folder("usr/bin")
    with pytest.raises(InvalidRequestError, match="/usr/bin is a folder in the image"):
        tree.put("usr/bin", Node(Kind.FILE, 0o644), None)


def test_a_layer_hides_what_is_below_it_and_not_its_own(tmp_path: Path) -> None:
    lower = archive(*(member(name) for name in ("a/old/1", "a/old/2", "a/new/1", "b/1", "c/d/1", "e")))
    upper = archive(
        member("a/new/2"),
        member("a/.wh..wh..opq"),
        member(".wh.b"),
        member("b/2"),
        member("c/.wh.d"),
        member("e/f"),
        member(".wh.e"),
    )

    index = indexed(tmp_path, lower, upper)

    assert {name for name, node in index.nodes.items() if node.kind is Kind.FILE} >= {"a/new/2", "b/2", "e/f"}
    assert {"a/old", "a/old/1", "a/new/1", "b/1", "c/d", "c/d/1"}.isdisjoint(index.nodes)
    assert index.nodes.keys() >= {"a", "a/new", "b", "c"}
    assert {path for paths in index.children.values() for path in paths} == index.nodes.keys()


def test_many_whiteouts_look_at_no_file_twice(tmp_path: Path) -> None:
    """A count, and no time: what lies elsewhere is not looked at for each whiteout."""
    asked = 0

    class Counting(Stop):
        def check(self) -> None:
            nonlocal asked
            asked += 1

    files = [f"d{n % 100}/{n}" for n in range(2_000)]
    layers = [archive(*map(member, files)), archive(*(member(f"d{n}/.wh..wh..opq") for n in range(100)))]
    for number, layer in enumerate(layers):
        (tmp_path / f"{number}").write_bytes(layer)

    index = read_layers([tmp_path / "0", tmp_path / "1"], 10_000, Counting())

    assert sorted(index.nodes) == sorted(f"d{n}" for n in range(100))
    assert asked < 10_000


def test_extended_attributes_are_unpacked_too(tmp_path: Path) -> None:
    header = member("ping", pax_headers={"SCHILY.xattr.security.capability": "raw"})

    assert unpacked(archive(header), tmp_path)["ping"].xattrs == (("security.capability", "raw"),)


def test_a_file_that_a_layer_has_often_counts_each_time(tmp_path: Path) -> None:
    (tmp_path / "often").write_bytes(archive(*[member("a", size=100_000)] * 20))
    index = read_layers([tmp_path / "often"], 100, Stop())

    with (
        Spool(tmp_path / "content", 1_000_000, 100, Stop()) as spool,
        pytest.raises(LimitExceededError, match="'a' of a base: more than 1000000 bytes"),
    ):
        filled(index, [tmp_path / "often"], {"a": index.nodes["a"]}, spool)
