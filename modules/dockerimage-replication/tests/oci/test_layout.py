"""OCI image layouts on disk: what is written can be read, and nothing that was changed is believed."""

import asyncio
import hashlib
import json
import os
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from dockerimage_replication.oci import layout_writer
from dockerimage_replication.oci.download import Download
from dockerimage_replication.oci.errors import NotFound, RegistryError
from dockerimage_replication.oci.layout import INDEX_FILE, REF_NAME, Layout, LayoutError
from dockerimage_replication.oci.layout_writer import open_writer
from dockerimage_replication.oci.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from dockerimage_replication.oci.meter import Meter
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.retry import RetryPolicy

from .support import LAYER, digest, image_manifest, index_manifest

NAME = "internet.local/team/app:1"
CONFIG, LAYER_CONTENT = b'{"os": "linux"}', b"layer" * 400_000  # 2 MB: several chunks
MANIFEST = image_manifest(CONFIG, [LAYER_CONTENT])
INDEX = index_manifest([MANIFEST])
CONTENTS = {digest(content): content for content in (CONFIG, LAYER_CONTENT, MANIFEST, INDEX)}
BLOBS = [Descriptor("", name, len(content)) for name, content in CONTENTS.items()]


def index_file(raw: bytes = INDEX, **changes: object) -> bytes:
    entry = {"mediaType": OCI_INDEX, "digest": digest(raw), "size": len(raw), "annotations": {REF_NAME: NAME}}
    return json.dumps({"schemaVersion": 2, "manifests": [{**entry, **changes}]}).encode()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1_000_000):
        yield content[start : start + 1_000_000]


async def broken(content: bytes) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    raise ConnectionError("half of it")


async def write(path: Path, *, backwards: bool = False) -> list[str]:
    """Write the layout; the digests that were not there yet."""
    blobs = BLOBS[::-1] if backwards else BLOBS
    writer = open_writer(path, blobs, index_file())
    written = []
    try:
        for blob in blobs:
            if not writer.has(blob):
                await writer.write(blob, chunks(CONTENTS[blob.digest]))
                written.append(blob.digest)
        writer.finish()
    finally:
        writer.close()
    return written


@pytest.fixture(params=["layout", "layout.tar"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "disk" / str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asyncio.run(write(tmp_path / "layout"))
    return tmp_path / "layout"


def blob_path(folder: Path, content: bytes) -> Path:
    return folder / "blobs/sha256" / hashlib.sha256(content).hexdigest()


def problem(path: Path) -> str:
    with pytest.raises(LayoutError) as error:
        asyncio.run(Layout(path).check(Meter()))
    return str(error.value)


async def test_what_is_written_can_be_read(path: Path) -> None:
    await write(path)

    layout = Layout(path)
    meter = Meter()
    await layout.check(meter)
    assert meter.expected == meter.transferred == len(CONFIG) + len(LAYER_CONTENT)
    image = layout.image(Reference.parse(NAME))
    assert await image.head_manifest("1") == digest(INDEX)
    index = await image.get_manifest("1")
    assert index.raw == INDEX
    manifest = await image.get_manifest(index.children[0].digest)
    assert manifest.raw == MANIFEST
    read = [b"".join([chunk async for chunk in image.read_blob(blob, 0)]) for blob in manifest.blobs]
    assert read == [CONFIG, LAYER_CONTENT]


async def test_a_blob_is_read_from_a_byte_on(path: Path) -> None:
    await write(path)
    image = Layout(path).image(Reference.parse(NAME))
    blob = Descriptor(LAYER, digest(LAYER_CONTENT), len(LAYER_CONTENT))

    for start in (0, 1, 1024 * 1024, 1_500_000, len(LAYER_CONTENT)):
        read = [chunk async for chunk in image.read_blob(blob, start)]
        assert b"".join(read) == LAYER_CONTENT[start:]
        assert all(read)


async def test_a_name_or_digest_that_is_not_there_is_not_found(path: Path) -> None:
    await write(path)

    with pytest.raises(NotFound, match=r"internet\.local/team/other:1"):
        await Layout(path).image(Reference.parse("internet.local/team/other:1")).get_manifest("1")
    with pytest.raises(NotFound, match=digest(b"another")):
        await Layout(path).image(Reference.parse(NAME)).get_manifest(digest(b"another"))


async def test_the_same_content_makes_the_same_archive(tmp_path: Path) -> None:
    await write(tmp_path / "one.tar")
    await write(tmp_path / "two.tar", backwards=True)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [
        "oci-layout",
        *sorted(f"blobs/sha256/{name.removeprefix('sha256:')}" for name in CONTENTS),
        "index.json",
    ]
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
        (0, 0, 0, "", 0o644)
    }


async def test_nothing_half_written_has_its_final_name(path: Path) -> None:
    writer = open_writer(path, BLOBS, index_file())
    for blob in BLOBS[:2]:
        await writer.write(blob, chunks(CONTENTS[blob.digest]))
    with pytest.raises(ConnectionError):
        await writer.write(BLOBS[2], broken(CONTENTS[BLOBS[2].digest]))
    writer.close()

    final = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*") if file.is_file()}
    whole = {f"layout/blobs/{blob.digest.replace(':', '/')}" for blob in BLOBS[:2]}
    assert final == ({"layout.tar.partial"} if path.suffix else whole | {"layout/oci-layout"})
    with pytest.raises(LayoutError):
        Layout(path)


async def test_what_a_broken_run_left_does_not_show_in_an_archive(tmp_path: Path) -> None:
    await write(tmp_path / "clean.tar")
    (tmp_path / "layout.tar.partial").write_bytes(b"x" * 3_000_000)

    await write(tmp_path / "layout.tar")

    assert (tmp_path / "layout.tar").read_bytes() == (tmp_path / "clean.tar").read_bytes()


async def test_a_blob_with_a_sha512_digest_is_written_and_read(path: Path) -> None:
    content = b"long name"
    blob = Descriptor(LAYER, f"sha512:{hashlib.sha512(content).hexdigest()}", len(content))
    writer = open_writer(path, [*BLOBS, blob], index_file())
    for other in BLOBS:
        await writer.write(other, chunks(CONTENTS[other.digest]))
    await writer.write(blob, chunks(content))
    writer.finish()
    writer.close()

    image = Layout(path).image(Reference.parse(NAME))
    assert [chunk async for chunk in image.read_blob(blob, 0)] == [content]
    await Layout(path).check(Meter())


async def test_a_write_that_is_cancelled_ends_before_its_file_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is still writing would else write to whatever file gets the number next."""
    writer = open_writer(path, BLOBS, index_file())
    begun, go_on = threading.Event(), threading.Event()
    written: list[bytes] = []
    write_all = layout_writer._write_all

    def slow(descriptor: int, content: bytes, place: int | None = None) -> None:
        begun.set()
        assert go_on.wait(10)
        os.fstat(descriptor)
        write_all(descriptor, content, place)
        written.append(content)

    monkeypatch.setattr(layout_writer, "_write_all", slow)
    task = asyncio.create_task(writer.write(BLOBS[0], chunks(CONTENTS[BLOBS[0].digest])))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer.close()

    assert written == [CONTENTS[BLOBS[0].digest]]


async def test_a_broken_run_is_gone_on_with(path: Path) -> None:
    writer = open_writer(path, BLOBS, index_file())
    await writer.write(BLOBS[0], chunks(CONTENTS[BLOBS[0].digest]))
    with pytest.raises(ConnectionError):
        await writer.write(BLOBS[1], broken(CONTENTS[BLOBS[1].digest]))
    writer.close()

    assert await write(path) == [blob.digest for blob in BLOBS[1:]]
    await Layout(path).check(Meter())


async def test_a_second_run_writes_nothing_anew(path: Path) -> None:
    await write(path)

    assert await write(path) == []
    await Layout(path).check(Meter())


async def test_an_archive_takes_what_an_earlier_one_has_at_another_place(tmp_path: Path) -> None:
    path = tmp_path / "layout.tar"
    await write(path)
    more = Descriptor("", digest(b"more"), 4)
    writer = open_writer(path, [*BLOBS, more], index_file())

    assert [blob for blob in [*BLOBS, more] if not writer.has(blob)] == [more]

    await writer.write(more, chunks(b"more"))
    writer.finish()
    writer.close()
    await Layout(path).check(Meter())
    with tarfile.open(path) as archive:
        assert len(archive.getmembers()) == len(BLOBS) + 3


async def test_a_blob_that_was_changed_is_written_again(folder: Path) -> None:
    blob_path(folder, CONFIG).write_bytes(b'{"os": "other"}')

    assert await write(folder) == [digest(CONFIG)]
    await Layout(folder).check(Meter())


async def test_leftovers_go_with_the_end_of_a_run(folder: Path) -> None:
    (folder / "blobs/sha256/.partial-x").write_bytes(b"killed")
    (folder / "blobs/.partial-x").write_bytes(b"killed")
    blob_path(folder, b"of another run").write_bytes(b"of another run")

    await write(folder)

    assert {file.name for file in (folder / "blobs").rglob("*") if file.is_file()} == {
        name.removeprefix("sha256:") for name in CONTENTS
    }


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(LayoutError, match="is not empty, and no bundle: name another folder"):
        open_writer(tmp_path, BLOBS, index_file())

    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_processes_do_not_write_one_bundle(path: Path) -> None:
    first = open_writer(path, BLOBS, index_file())

    with pytest.raises(LayoutError, match="another process is writing this bundle"):
        open_writer(path, BLOBS, index_file())

    first.close()
    open_writer(path, BLOBS, index_file()).close()


def test_a_writer_does_not_follow_links_out_of_its_folder(tmp_path: Path, folder: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / "blobs/sha256").rename(elsewhere)
    (folder / "blobs/sha256").symlink_to(elsewhere)

    with pytest.raises(LayoutError, match=r"blobs/sha256: it is a link"):
        open_writer(folder, BLOBS, index_file())


def test_everything_that_is_wrong_is_named_with_file_and_digest(folder: Path) -> None:
    blob_path(folder, CONFIG).unlink()
    blob_path(folder, LAYER_CONTENT).write_bytes(LAYER_CONTENT[:-1] + b"!")

    text = problem(folder)

    assert f"{blob_path(folder, CONFIG)}: No such file" in text
    changed = digest(LAYER_CONTENT[:-1] + b"!")
    assert f"blobs/sha256/{digest(LAYER_CONTENT)[7:]}: its content has the digest {changed}" in text


def test_a_blob_of_another_size_is_refused(folder: Path) -> None:
    blob_path(folder, LAYER_CONTENT).write_bytes(LAYER_CONTENT + b"!")

    assert f"it has {len(LAYER_CONTENT) + 1} bytes, and its descriptor says {len(LAYER_CONTENT)}" in problem(
        folder
    )


def test_a_manifest_that_was_changed_is_refused(folder: Path) -> None:
    blob_path(folder, MANIFEST).write_bytes(MANIFEST.replace(b"linux", b"other").replace(b" ", b"\t"))

    assert f"blobs/sha256/{digest(MANIFEST)[7:]}: " in problem(folder)


def test_links_are_refused(tmp_path: Path, folder: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONFIG)
    blob_path(folder, CONFIG).unlink()
    blob_path(folder, CONFIG).symlink_to(secret)

    assert f"{blob_path(folder, CONFIG)}: it is a link" in problem(folder)


def test_linked_folders_are_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "blobs").rename(tmp_path / "elsewhere")
    (folder / "blobs").symlink_to(tmp_path / "elsewhere")

    assert f"{folder / 'blobs'}: it is a link" in problem(folder)


def test_a_pipe_in_the_place_of_a_blob_does_not_block(folder: Path) -> None:
    blob_path(folder, CONFIG).unlink()
    os.mkfifo(blob_path(folder, CONFIG))

    assert "it is no regular file" in problem(folder)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (index_file(digest="sha256:../../../../etc/passwd"), "no valid digest"),
        (index_file(digest=f"sha256/{'a' * 64}"), "no valid digest"),
        (index_file(size=-1), "is not a number of bytes"),
        (index_file(size=2**40), "is larger than"),
        (index_file(mediaType="text/html"), "media type"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "schemaVersion is not 2"),
        (index_file()[:-2] + b"," + index_file()[index_file().index(b'[{"media') + 1 :], "twice"),
    ],
)
def test_a_hostile_index_file_is_refused(folder: Path, raw: bytes, message: str) -> None:
    (folder / INDEX_FILE).write_bytes(raw)

    assert message in problem(folder)


def test_indexes_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    raw, contents = INDEX, dict(CONTENTS)
    for _ in range(6):
        raw = index_manifest([raw])
        contents[digest(raw)] = raw
    asyncio.run(write(tmp_path / "layout"))
    for content in contents.values():
        blob_path(tmp_path / "layout", content).write_bytes(content)
    (tmp_path / "layout" / INDEX_FILE).write_bytes(index_file(raw))

    assert "indexes nest deeper than" in problem(tmp_path / "layout")


def test_an_index_whose_bytes_list_itself_has_another_digest(folder: Path) -> None:
    """No bytes hold their own digest, so a file that pretends to is not what its name says."""
    own = f"sha256:{'a' * 64}"
    child = {"mediaType": OCI_INDEX, "digest": own, "size": 0}
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()
    (folder / "blobs/sha256" / own[7:]).write_bytes(raw)
    (folder / INDEX_FILE).write_bytes(index_file(raw, digest=own))

    assert f"blobs/sha256/{own[7:]}: " in problem(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"imageLayoutVersion": "2.0.0"}', b"[" * 100_000])
def test_another_kind_of_layout_is_refused(folder: Path, content: bytes) -> None:
    (folder / "oci-layout").write_bytes(content)

    assert "no OCI image layout of version 1.0.0" in problem(folder)


def link_member(archive: tarfile.TarFile) -> None:
    member = tarfile.TarInfo("blobs/sha256/x")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(member)


def second_member(archive: tarfile.TarFile) -> None:
    archive.addfile(tarfile.TarInfo("oci-layout"))


@pytest.mark.parametrize(
    ("add", "message"), [(link_member, "neither a file nor a folder"), (second_member, "twice")]
)
def test_hostile_archives_are_refused(
    tmp_path: Path, add: Callable[[tarfile.TarFile], None], message: str
) -> None:
    path = tmp_path / "layout.tar"
    asyncio.run(write(path))
    with tarfile.open(path, "a") as archive:
        add(archive)

    assert message in problem(path)


def test_an_archive_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "layout.tar"
    asyncio.run(write(path))
    for size in (path.stat().st_size // 2, 700, 0):
        os.truncate(path, size)
        problem(path)


def test_an_archive_that_tar_has_packed_is_read(tmp_path: Path, folder: Path) -> None:
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(folder, ".")

    asyncio.run(Layout(tmp_path / "packed.tar").check(Meter()))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"nowhere: No such file or directory"):
        Layout(tmp_path / "nowhere")


async def test_a_blob_that_changes_after_the_check_is_not_believed(folder: Path) -> None:
    layout = Layout(folder)
    await layout.check(Meter())
    blob_path(folder, CONFIG).write_bytes(b'{"os": "other"}')
    image = layout.image(Reference.parse(NAME))

    changed = Descriptor(OCI_CONFIG, digest(CONFIG), len(CONFIG))
    with pytest.raises(RegistryError, match="the content has the digest"):
        async with Download(image, changed, RetryPolicy(), Meter()) as download:
            await download.read()


async def test_a_manifest_without_media_type_is_what_its_descriptor_says(tmp_path: Path) -> None:
    value = json.loads(MANIFEST)
    del value["mediaType"]
    raw = json.dumps(value).encode()
    await write(tmp_path / "layout")
    blob_path(tmp_path / "layout", raw).write_bytes(raw)
    (tmp_path / "layout" / INDEX_FILE).write_bytes(index_file(raw, mediaType=OCI_MANIFEST))

    layout = Layout(tmp_path / "layout")

    await layout.check(Meter())
    assert (await layout.image(Reference.parse(NAME)).get_manifest("1")).media_type == OCI_MANIFEST
