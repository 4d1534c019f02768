"""The cache stays within its limit, and what killed processes leave goes; nothing that is used goes."""

import asyncio
import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from image_builder.building import BuildSettings
from image_builder.building.tidying import tidy_up
from image_builder.cached import entries
from image_builder.layers.image import Image
from image_builder.locks import Uses, own_file, own_folder, take_away

from .support import bench

REAL_FLOCK = fcntl.flock
MODULE = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> BuildSettings:
    return BuildSettings(tmp_path / "work", tmp_path / "cache", cache_size=250)


def cached(settings: BuildSettings, *names: str) -> list[Path]:
    """Blobs and stores of 100 bytes (stores: 0), used one after the other, long ago."""
    made = []
    for number, name in enumerate(names, 1):
        path = settings.cache / "blobs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
        made.append(path)
    return made


def names(settings: BuildSettings) -> list[str]:
    return [entry.path.name for entry in entries(settings.cache)]


def trim(settings: BuildSettings) -> list[str]:
    """Tidy up; what is left."""
    asyncio.run(tidy_up(settings))
    return names(settings)


@contextmanager
def another_process(script: str, *arguments: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has done something with locks, and waits to be killed."""
    begin = "import sys\nfrom pathlib import Path\nfrom image_builder.locks import *\n"
    script = f"{begin}{script}\nprint('done', flush=True)\ninput()"
    environment = {"PYTHONPATH": str(MODULE), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "done\n"
            yield process
        finally:
            process.kill()


def test_what_was_not_used_for_the_longest_time_goes_first(settings: BuildSettings) -> None:
    cached(settings, "first", "second", "third", "fourth")

    assert trim(settings) == ["third", "fourth"]


def test_below_the_limit_everything_stays(settings: BuildSettings) -> None:
    cached(settings, "first", "second")

    assert trim(settings) == ["first", "second"]


def test_a_store_goes_as_a_whole(settings: BuildSettings) -> None:
    store = settings.cache / "stores" / "base"
    (store / "overlay/layer").mkdir(parents=True)
    (store / "size-kib").write_text("1\n")
    os.utime(store, (0, 0))
    cached(settings, "first", "second")

    assert trim(settings) == ["first", "second"]
    assert not store.exists()


def test_what_a_build_uses_stays_however_old_it_is(settings: BuildSettings) -> None:
    first, *_ = cached(settings, "first", "second", "third", "fourth")

    with Uses() as uses:
        assert uses.hold(first)
        os.utime(first, (0, 0))
        assert trim(settings) == ["first", "fourth"]
    assert trim(replace(settings, cache_size=100)) == ["fourth"]


def test_what_another_process_uses_stays_until_it_is_killed(settings: BuildSettings) -> None:
    (first,) = cached(settings, "first")
    none = replace(settings, cache_size=0)
    use = "uses = Uses()\nassert uses.hold(Path(sys.argv[1]))"

    with another_process(use, first):
        assert trim(none) == ["first"]

    assert trim(none) == []


def test_what_is_used_again_counts_as_new(settings: BuildSettings) -> None:
    first, *_ = cached(settings, "first", "second", "third")

    with Uses() as uses:
        uses.hold(first)

    assert trim(settings) == ["third", "first"]


def test_what_was_removed_is_not_there_to_be_used(settings: BuildSettings) -> None:
    (first,) = cached(settings, "first")
    with Uses() as uses:
        assert uses.hold(first)
        assert take_away(first, "part-") is None

    gone = take_away(first, "part-")

    assert gone is not None
    with Uses() as uses:
        assert not uses.hold(first)


def test_trimming_that_was_killed_in_the_middle_is_ended_by_the_next(settings: BuildSettings) -> None:
    store = settings.cache / "stores" / "base"
    (store / "overlay/layer").mkdir(parents=True)
    (store / "size-kib").write_text("1\n")

    with another_process("take_away(Path(sys.argv[1]), 'part-')", store):
        pass

    assert names(settings) == []
    assert len(list((settings.cache / "stores").glob("part-*"))) == 1
    assert trim(settings) == []
    assert list((settings.cache / "stores").glob("part-*")) == []


def test_left_overs_of_killed_processes_go_and_those_of_living_ones_stay(settings: BuildSettings) -> None:
    make = "a = own_folder(Path(sys.argv[1]), 'build-'), own_file(Path(sys.argv[2]), 'part-')"
    work, blobs = settings.work, settings.cache / "blobs"
    own, own_part = own_folder(work, "build-"), own_file(blobs, "part-")
    (own.path / "content").write_text("mine")

    with another_process(make, work, blobs):
        trim(settings)
        assert len(list(work.glob("build-*"))) == 2
        assert len(list(blobs.glob("part-*"))) == 2

    trim(settings)
    assert list(work.glob("build-*")) == [own.path]
    assert list(blobs.glob("part-*")) == [own_part.path]
    own.release()
    own_part.release()


async def test_a_builder_keeps_its_cache_within_the_limit(base: str, registry: str, tmp_path: Path) -> None:
    """Each build fetches the layers of its base, which the next one may not need any more."""
    builder = bench(registry, tmp_path, cache_size=0)
    image = Image("trimmed").stage(base, "1").file("a", b"a").copy("a", "/srv/")

    first, second = await builder.build_all(
        [image, Image("other").stage(base, "1").copy("/srv", "/x", from_layer=f"{base}:1")]
    )

    assert first.digest != second.digest
    assert entries(tmp_path / "cache") == []
    assert list((tmp_path / "work").iterdir()) == []


def test_where_folders_cannot_be_locked_a_file_in_them_is(
    settings: BuildSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, which cannot be had here."""

    def flock(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        REAL_FLOCK(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    own, gone = own_folder(settings.work, "build-"), own_folder(settings.work, "build-")
    gone.release()

    trim(settings)

    assert list(settings.work.glob("build-*")) == [own.path]
    assert (own.path / ".lock").exists()
