"""Images made without running anything, as a registry has them afterwards."""

import asyncio
import gzip
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from image_builder.building import BuildContext, Builder
from image_builder.building.errors import BuildError, InvalidRequestError, LimitExceededError
from image_builder.building.result import Phase
from image_builder.building.settings import Limits
from image_builder.layers.image import Image
from image_builder.oci.digest import digest_of

from .support import Bench, Entry, bench, delete_manifest, docker_registry, file_entry, push_base, tar_of


def test_the_documents_first_image(builder: Bench, base: str) -> None:
    image = Image("hello-world").stage(base, "1").entrypoint(["echo", "Hello world!"])

    result = builder.build(image)

    assert result.reference == f"{builder.registry}/team/hello-world:latest"
    pulled = builder.pull("team/hello-world:latest")
    assert pulled.config["config"]["Entrypoint"] == ["echo", "Hello world!"]
    assert "Cmd" not in pulled.config["config"]
    assert (result.way, result.cached) == ("assembled", False)
    assert builder.phases == [Phase.AUTHORIZING, Phase.GENERATING, Phase.BUILDING, Phase.PUSHING]
    assert result.size == sum(
        blob["size"] for blob in [pulled.manifest["config"], *pulled.manifest["layers"]]
    ) + len(builder.raw_manifest("team/hello-world:latest"))


def test_the_same_request_has_the_same_digest_on_every_worker(
    builder: Bench, base: str, registry: str, tmp_path: Path
) -> None:
    image = Image("twice").stage(base, "1").file("a", b"1").copy("a", "/srv/app/").env(["A"], ["$KIND"])

    first = builder.build(image)
    other = bench(registry, tmp_path / "other").build(image)

    assert (first.digest, first.cached) == (other.digest, other.cached)


async def test_an_identical_request_is_not_built_again(builder: Bench, base: str) -> None:
    image = Image("again").stage(base, "1").file("a", b"1").copy("a", "/a")

    first, second = await builder.build_all([image, image])

    assert (first.cached, second.cached) == (False, True)
    assert first.digest == second.digest


async def test_a_tag_that_was_moved_since_is_set_again(builder: Bench, base: str) -> None:
    image, other = (Image("moved").stage(base, "1").label("n", number) for number in "12")

    first, _, third = await builder.build_all([image, other, image])

    assert third.cached
    assert builder.digest("team/moved:latest") == first.digest


def test_files_arrive_where_a_link_of_the_base_leads(builder: Bench, base: str) -> None:
    image = Image("linked").stage(base, "1").file("tool", b"#!/bin/sh\n", "0755").copy("tool", "/bin/tool")

    builder.build(image)

    tree = builder.pull("team/linked:latest").tree
    assert tree["usr/bin/tool"] == file_entry(b"#!/bin/sh\n", 0o755)
    assert tree["bin"] == Entry("link", 0o777, 0, 0, "usr/bin")


def test_names_of_owners_are_those_of_the_image(builder: Bench, base: str) -> None:
    image = Image("owned").stage(base, "1").file("a", b"")
    image.copy("a", "/1", user_id="app").copy("a", "/2", user_id="app", group_id="staff", permissions="0400")

    builder.build(image)

    tree = builder.pull("team/owned:latest").tree
    assert (tree["1"], tree["2"]) == (file_entry(b"", 0o644, 1000, 1001), file_entry(b"", 0o400, 1000, 50))


def test_a_stage_gives_its_files_to_the_next_and_leaves_nothing_else(builder: Bench, base: str) -> None:
    image = (
        Image("stages")
        .file("dir/a", b"1")
        .stage(base, "1", alias="first")
        .copy("dir", "/out", user_id="app")
        .stage("scratch")
        .copy("/out", "/in/", from_layer="first")
        .copy("/bin/busybox", "/busybox", from_layer="0")
    )

    builder.build(image)

    tree = builder.pull("team/stages:latest").tree
    assert set(tree) == {"in", "in/a", "busybox"}
    assert (tree["in/a"].uid, tree["busybox"].mode) == (1000, 0o755)


def test_files_come_from_another_image(builder: Bench, base: str) -> None:
    image = Image("from-image").stage("scratch").copy("/srv", "/srv", from_layer=f"{base}:1")

    builder.build(image)

    tree = builder.pull("team/from-image:latest").tree
    assert tree["srv/kept"] == file_entry(b"stays")
    assert "srv/old" not in tree


def test_uploaded_files_are_copied_with_those_of_the_request(
    builder: Bench, base: str, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"x" * 3_000_000)
    image = Image("upload").file("small", b"shown").file("sub/large", tmp_path / "large", "0755")
    (digest,) = image.uploads
    (tmp_path / "uploads").mkdir()
    (tmp_path / "large").rename(tmp_path / "uploads" / digest.removeprefix("sha256:"))

    builder.build(image.stage(base, "1").copy(".", "/all/"), uploads=tmp_path / "uploads")

    tree = builder.pull("team/upload:latest").tree
    assert tree["all/small"] == file_entry(b"shown")
    assert tree["all/sub/large"] == file_entry(b"x" * 3_000_000, 0o755)


def test_a_file_that_was_not_uploaded_is_named(builder: Bench, base: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 3_000_000)
    image = Image("upload").file("large", tmp_path / "large").stage(base, "1").copy("large", "/")

    with pytest.raises(InvalidRequestError, match="'large' was not uploaded"):
        builder.build(image, uploads=tmp_path)


def test_named_bases_and_private_copies_stand_for_public_names(
    registry: str, base: str, tmp_path: Path
) -> None:
    named = bench(
        registry,
        tmp_path,
        bases={"dcv": f"{base}:1"},
        images={"docker.io/library/python:3.11-slim": f"{base}:1"},
    )

    one = named.build(Image("one").stage("dcv"))
    two = named.build(Image("two").stage("python", "3.11-slim"))

    assert one.digest == two.digest


def test_history_tells_every_layer_and_bears_the_time_of_the_base(builder: Bench, base: str) -> None:
    builder.build(Image("history").stage(base, "1").file("a", b"").copy("a", "/a").user("app"))

    config = builder.pull("team/history:latest").config
    added = config["history"][4:]
    assert [entry["created_by"] for entry in added] == ['COPY ["a", "/a"]', "USER app"]
    assert [entry.get("empty_layer", False) for entry in added] == [False, True]
    assert {entry["created"] for entry in added} == {config["created"]} == {"2024-05-06T07:08:09Z"}


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda image: image.copy("absent", "/x"), "layers[2].source: the request has no file 'absent'"),
        (lambda image: image.copy("../etc/passwd", "/x"), "layers[2].source: '../etc/passwd' leads out of"),
        (lambda image: image.copy("a", "/x", user_id="nobody-here"), "does not know the user 'nobody-here'"),
        (lambda image: image.copy("a", "/srv/kept/x"), "/srv/kept is no folder in the image"),
        (lambda image: image.copy("a", "/srv/.wh.kept"), "mean in an image that a file is deleted"),
        (lambda image: image.copy("/no", "/y", from_layer="first"), "'/no' is not in that stage or image"),
        (lambda image: image.copy("/x", "/y", from_layer="last"), "'last' is not a stage before this one"),
    ],
)
def test_what_cannot_be_copied_is_named(
    builder: Bench, base: str, made: Callable[[Image], Image], problem: str
) -> None:
    image = Image("wrong").file("a", b"").stage(base, "1", alias="first").stage(base, "1", alias="last")

    with pytest.raises(BuildError) as raised:
        builder.build(made(image))

    assert problem in str(raised.value)


def test_an_absent_base_is_named_with_what_was_asked(builder: Bench) -> None:
    with pytest.raises(BuildError, match=r"base '127\.0\.0\.1.*absent:1': .*not found"):
        builder.build(Image("x").stage(f"{builder.registry}/absent", "1"))


async def test_a_base_that_is_known_by_its_digest_is_asked_for_again(builder: Bench, registry: str) -> None:
    """Whether this request may read it, the registry says, also when another one has just read it."""
    digest = push_base(registry, "bases/taken-away:1", [])
    image = Image("x").stage(f"{registry}/bases/taken-away@{digest}").label("a", "b")

    async with Builder(builder.settings) as images:
        await images.build(image.request(), BuildContext(), builder.lines.append, asyncio.Event())
        delete_manifest(registry, f"bases/taken-away@{digest}")
        with pytest.raises(BuildError, match="not found"):
            await images.build(image.request(), BuildContext(), builder.lines.append, asyncio.Event())


def test_nobody_reads_a_layer_by_its_digest_alone(builder: Bench, registry: str, tmp_path: Path) -> None:
    """A stranger's registry can name a layer that the cache has from another one: it must have it itself."""
    private = [tar_of({"secret": b"of others"})]
    push_base(registry, "bases/private:1", private)
    builder.build(reading(f"{registry}/bases/private"))
    (tmp_path / "strange").mkdir()

    with docker_registry(tmp_path / "strange") as strange:
        push_base(strange, "named:1", private)
        layer = digest_of(gzip.compress(private[0], 1, mtime=0)).removeprefix("sha256:")
        (tmp_path / f"strange/data/docker/registry/v2/blobs/sha256/{layer[:2]}/{layer}/data").unlink()
        allowed = replace(builder, settings=replace(builder.settings, allowed_hosts=frozenset({strange})))
        with pytest.raises(BuildError, match=r"named.*not found"):
            allowed.build(reading(f"{strange}/named"))


def reading(base: str) -> Image:
    image = Image("reading").stage(base, "1", alias="read").stage("scratch")
    return image.copy("/secret", "/secret", from_layer="read")


def test_a_base_with_onbuild_is_refused(builder: Bench, registry: str) -> None:
    push_base(registry, "bases/onbuild:1", [], {"OnBuild": ["RUN evil"]})

    with pytest.raises(BuildError, match="ONBUILD"):
        builder.build(Image("x").stage(f"{registry}/bases/onbuild", "1"))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, len(data)
        tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


HOSTILE_ARCHIVES = {
    "traversal": (member("../../etc/passwd"), "leads out of the destination"),
    "traversal inside": (member("a/../../b"), "leads out of the destination"),
    "hard link outside": (member("a", tarfile.LNKTYPE, "/etc/passwd"), "hard link"),
    "hard link up": (member("a", tarfile.LNKTYPE, "../x"), "leads out of the destination"),
    "device": (member("null", tarfile.CHRTYPE), "is a device or a pipe"),
    "pipe": (member("pipe", tarfile.FIFOTYPE), "is a device or a pipe"),
    "whiteout": (member(".wh.passwd"), "would delete a file of the image"),
    "opaque": (member("etc/.wh..wh..opq"), "would delete a file of the image"),
    "cut off": (member("a", data=b"x" * 5000)[:2000], "the archive is broken"),
}


@pytest.mark.parametrize(("archive", "problem"), HOSTILE_ARCHIVES.values(), ids=HOSTILE_ARCHIVES)
def test_hostile_archives_are_refused(builder: Bench, base: str, archive: bytes, problem: str) -> None:
    image = Image("hostile").file("a.tar", archive).stage(base, "1").add("a.tar", "/srv/")

    with pytest.raises(InvalidRequestError, match=problem):
        builder.build(image)


def test_links_in_archives_never_leave_the_image(builder: Bench, base: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tar_of({"link": str(outside), "link/evil": b"x"})
    image = Image("links").file("a.tar", archive).stage(base, "1").add("a.tar", "/srv/")

    builder.build(image)

    assert list(outside.iterdir()) == []
    assert f"{str(outside)[1:]}/evil" in builder.pull("team/links:latest").tree


def test_a_bomb_ends_at_the_limit(registry: str, base: str, tmp_path: Path) -> None:
    bomb = gzip.compress(tar_of({"zeros": bytes(50_000_000)}))
    assert len(bomb) < 100_000
    small = bench(registry, tmp_path, limits=Limits(unpacked=10_000_000))
    image = Image("bomb").file("a.tgz", bomb).stage(base, "1").add("a.tgz", "/srv/")

    with pytest.raises(LimitExceededError, match="more than 10000000 bytes"):
        small.build(image)

    assert list((tmp_path / "work").iterdir()) == []


def test_many_entries_end_at_the_limit(registry: str, base: str, tmp_path: Path) -> None:
    archive = tar_of({f"f{number}": b"" for number in range(200)})
    small = bench(registry, tmp_path, limits=replace(Limits(), entries=100))

    with pytest.raises(LimitExceededError, match="more than 100 files"):
        small.build(Image("many").file("a.tar", archive).stage(base, "1").add("a.tar", "/srv/"))
