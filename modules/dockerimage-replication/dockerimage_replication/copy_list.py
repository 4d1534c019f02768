"""The `copy` command: the images of a list, from registry to registry, without AWS.

The list is `updated_images.json` as `apply` leaves it. With a lock, a run with nothing to do asks no
source and each destination once per image, and a run that was killed goes on where it stopped.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .image_copies import ImageCopies, WantedImage
from .lock import Lock, LockedImage, LockError
from .oci.copy import Copier
from .oci.docker_config import DockerConfig
from .oci.errors import RegistryError
from .oci.journal import Journal
from .oci.reference import InvalidReference, Reference
from .oci.transport import Transport
from .progress import Progress
from .shared.endpoints import Endpoints
from .shared.errors import ParameterError, UserError

_INPUTS = "copy"  # of a lock that comes from a list


@dataclass(frozen=True)
class CopyOptions:
    """What the command line says.

    Attributes:
        images: file with the list.
        lock: file that keeps the digests; None for no lock.
        refresh: ask the sources again which digest each tag has.
        endpoints: where registries are reached.
    """

    images: Path
    lock: Path | None
    refresh: bool
    endpoints: Endpoints


def copy(options: CopyOptions, *, as_json: bool) -> int:
    """Copy the images of a list; the exit status is 1 when one of them could not be copied.

    Raises:
        UserError: the list or the lock cannot be read or written, or images could not be copied.
    """
    images = _read_list(options.images)
    before = {} if options.refresh else _read_lock(options.lock)
    journal = options.lock.with_name(f"{options.lock.name}.journal") if options.lock else None
    with Journal(journal) as uploads:
        done, failures = asyncio.run(_copy(images, before, uploads, options, as_json=as_json))
    if options.lock:
        kept = {image.private: before[image.private] for image in images if image.private in before}
        _write(options.lock, Lock(_INPUTS, {**kept, **done}).serialise())
    if as_json:
        failed = [
            {"source": image.source, "private": image.private, "reason": reason}
            for image, reason in sorted(failures, key=lambda failure: failure[0].private)
        ]
        print(json.dumps({"images": Lock(_INPUTS, done).report()["images"], "failures": failed}, indent=2))
    if failures:
        raise UserError(
            f"{len(failures)} of {len(images)} images could not be copied; the others are in place:"
            + "".join(f"\n  - {image.source}: {reason}" for image, reason in failures)
        )
    return 0


async def _copy(
    images: Sequence[WantedImage],
    locked: dict[str, LockedImage],
    journal: Journal,
    options: CopyOptions,
    *,
    as_json: bool,
) -> tuple[dict[str, LockedImage], list[tuple[WantedImage, str]]]:
    """Lock entries of the images that are in place, and why others are not."""
    done: dict[str, LockedImage] = {}
    failures: list[tuple[WantedImage, str]] = []
    credentials = DockerConfig.from_environment(os.environ)
    async with Transport(endpoints=options.endpoints, credentials=credentials) as transport:
        copier = Copier(transport, journal)
        progress = Progress(log=sys.stderr if as_json else sys.stdout)
        copies = ImageCopies(transport, copier, progress, locked, refresh=options.refresh)

        async def bring(image: WantedImage) -> None:
            try:
                done[image.private] = await copies.bring(image)
            except (RegistryError, UserError) as error:
                failures.append((image, str(error)))
            else:
                progress.count()

        async with progress.transfers(copier.meter, len(images)):
            await asyncio.gather(*map(bring, images))
    return done, failures


def _read_list(path: Path) -> list[WantedImage]:
    try:
        entries = json.loads(path.read_bytes())
    except OSError as error:
        raise ParameterError(f"the list {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ParameterError(f"the list {path} is not JSON") from None
    if not isinstance(entries, list):
        raise ParameterError(f"the list {path} is not a list of {{src, target}}")
    images = [_entry(path, number, entry) for number, entry in enumerate(entries, start=1)]
    by_target = {image.private: image for image in images}
    for image in images:
        if by_target[image.private].address != image.address:
            raise ParameterError(
                f"{path} has two sources for {image.private}: {image.source} and "
                f"{by_target[image.private].source}"
            )
    return list(by_target.values())


def _entry(path: Path, number: int, entry: object) -> WantedImage:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("src", "target")):
        raise ParameterError(f"entry {number} of {path} has no texts `src` and `target`")
    try:
        return WantedImage(entry["src"], Reference.parse(entry["src"]), str(Reference.parse(entry["target"])))
    except InvalidReference as error:
        raise ParameterError(f"entry {number} of {path}: {error}") from None


def _read_lock(path: Path | None) -> dict[str, LockedImage]:
    if path is None or not path.exists():
        return {}
    try:
        return dict(Lock.parse(path.read_bytes(), str(path)).images)
    except OSError as error:
        raise LockError(f"the lock {path} cannot be read: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once: it has its old content or the new one, never a part."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        raise UserError(f"the lock {path} cannot be written: {error.strerror}") from None
