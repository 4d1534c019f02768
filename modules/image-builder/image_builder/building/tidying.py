"""Removes what dead processes have left, and what the cache has no room for."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cached import BLOBS, PART, STORES, Entry, entries
from ..locks import left_overs, own_folder, take_away
from .commands.context import environment
from .commands.identity import identity
from .commands.sandbox import Bounds, Sandbox
from .commands.stores import remove
from .errors import BuildError
from .settings import BuildSettings

BUILD = "build-"  # begins the name of a build's folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tidied:
    """What was done.

    Attributes:
        gone: what went from the cache.
        left: bytes that are still in the cache.
    """

    gone: list[Entry]
    left: int


async def tidy_up(settings: BuildSettings) -> Tidied:
    """Remove what dead processes have left, and from the cache what was not used for the longest time.

    What a living process uses stays, so that the cache may be larger than its limit for as long.
    """
    dead = await asyncio.to_thread(_left, settings)
    tidied, names = await asyncio.to_thread(_taken_away, settings)
    await _remove([*dead, *names], settings)
    if dead:
        log.info("removed %s left-overs of processes that were killed", len(dead))
    return tidied


def _left(settings: BuildSettings) -> list[Path]:
    found = left_overs(settings.work, BUILD)
    for folder in (BLOBS, STORES):
        found += left_overs(settings.cache / folder, PART)
    return found


def _taken_away(settings: BuildSettings) -> tuple[Tidied, list[Path]]:
    """What is too much, under its new names."""
    found = entries(settings.cache)
    total = sum(entry.size for entry in found)
    gone, names = [], []
    for entry in found:
        if total <= settings.cache_size:
            break
        name = take_away(entry.path, PART)
        if name is not None:
            gone.append(entry)
            names.append(name)
        if name is not None or not entry.path.exists():
            total -= entry.size
    return Tidied(gone, total), names


async def _remove(paths: Sequence[Path], settings: BuildSettings) -> None:
    """Remove files and folders; some files belong to users that only a sandbox has."""
    await asyncio.to_thread(_removed, paths)
    rest = [path for path in paths if path.exists()]
    if rest:
        with contextlib.suppress(
            BuildError
        ):  # whoever made them could run commands; the next start tries again
            await _removed_apart(rest, settings)


async def _removed_apart(folders: list[Path], settings: BuildSettings) -> None:
    job = await asyncio.to_thread(own_folder, settings.work, BUILD)
    try:
        bounds = Bounds(settings.limits.processes, settings.limits.disk)
        await remove(folders, Sandbox(identity(), bounds, environment(job.path)), job.path)
    finally:
        await asyncio.to_thread(_removed, [job.path])
        job.release()


def _removed(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
