"""What the lock says against what registries say."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from .charts.archive import ChartError
from .charts.push import pushed_digest
from .charts.repository import ChartRepositories
from .digests import NO_ANSWER, digest_at
from .lock import Lock, LockedChart
from .locked import Locked
from .oci.digest import is_digest
from .oci.errors import NotFound
from .oci.reference import InvalidReference, Reference
from .oci.transport import Transport

What = Literal[
    "destination-missing",
    "destination-different",
    "attached-missing",
    "rendered-outside",
    "not-rendered",
    "tag-moved",
    "source-gone",
    "no-answer",
]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the lock has it, as `--json` prints it.

    Attributes:
        what: the kind of difference.
        private: private reference of the image or chart.
        asked: the reference that was asked for, or the address of a chart.
        locked: digest in the lock; None when the lock has none.
        found: digest that was found; None without one.
        why: what that means, and what to do.
    """

    what: What
    private: str
    asked: str
    locked: str | None
    found: str | None
    why: str


_Check = Coroutine[None, None, Difference | None]


async def all_differences(checks: Iterable[_Check]) -> list[Difference]:
    """What the checks find, in their order; they run side by side."""
    return [found for found in await asyncio.gather(*checks) if found]


def at_destination(transport: Transport, lock: Lock) -> Iterator[_Check]:
    """Checks that everything in the lock is in place."""
    for private, digest in sorted(lock.digests.items()):
        yield _in_place(transport, private, digest)


def attached(transport: Transport, lock: Lock) -> Iterator[_Check]:
    """Checks that the signatures and other referrers in the lock are in place."""
    for private, names in sorted(lock.attached.items()):
        for name in names:
            yield _attached(transport, private, name)


def existing(transport: Transport, references: Iterable[str]) -> Iterator[_Check]:
    """Checks that private references exist, whatever their digest is."""
    for private in sorted(references):
        yield _in_place(transport, private, None)


def at_source(transport: Transport, locked: Locked) -> Iterator[_Check]:
    """Checks that the sources still have what the lock has."""
    repositories = ChartRepositories(transport, locked.endpoints)
    for private, image in sorted(locked.lock.images.items()):
        yield _still_at(transport, private, image.address, image.digest)
    for private, chart in sorted(locked.lock.charts.items()):
        if chart.address is None:
            yield _chart_still_at(repositories, private, chart)
        else:
            yield _still_at(transport, private, chart.address, chart.digest)


def report(
    locked: Locked,
    differences: list[Difference],
    *,
    as_json: bool,
    further: Mapping[str, object] | None = None,
) -> int:
    """Print differences, and in JSON what else there is; the exit status is 1 when there are some."""
    if as_json:
        found = [asdict(difference) for difference in differences]
        print(json.dumps({"lock": locked.name, "differences": found, **(further or {})}, indent=2))
    else:
        for difference in differences:
            print(f"{difference.what}  {difference.private}\n    {difference.why}")
        lock = locked.lock
        size = f"{len(lock.images)} images, {len(lock.charts)} charts"
        print(f"differences from {locked.name} ({size}): {len(differences)}")
    return 1 if differences else 0


async def _in_place(transport: Transport, private: str, digest: str | None) -> Difference | None:
    try:
        found = await digest_at(transport, Reference.parse(private))
    except InvalidReference as error:
        return Difference("destination-missing", private, private, digest, None, str(error))
    except NO_ANSWER as error:
        return Difference("no-answer", private, private, digest, None, str(error))
    if found is None:
        why = f"{private} does not exist: `apply` brings it back"
        return Difference("destination-missing", private, private, digest, None, why)
    if digest in (None, found):
        return None
    why = f"{private} has the digest {found}, and the lock {digest}: `apply` brings that back"
    return Difference("destination-different", private, private, digest, found, why)


async def _attached(transport: Transport, private: str, name: str) -> Difference | None:
    subject = Reference.parse(private)
    asked = f"{subject.registry}/{subject.repository}{'@' if is_digest(name) else ':'}{name}"
    try:
        if await digest_at(transport, Reference.parse(asked)):
            return None
    except NO_ANSWER as error:
        return Difference("no-answer", private, asked, None, None, str(error))
    why = f"{asked}, which was copied with the image, does not exist"
    return Difference("attached-missing", private, asked, None, None, why)


async def _still_at(transport: Transport, private: str, address: str, digest: str) -> Difference | None:
    try:
        found = await digest_at(transport, Reference.parse(address))
    except NO_ANSWER as error:
        return Difference("no-answer", private, address, digest, None, str(error))
    if found is None:
        return Difference("source-gone", private, address, digest, None, f"{address} does not exist any more")
    return _moved(private, address, digest, found)


async def _chart_still_at(
    repositories: ChartRepositories, private: str, chart: LockedChart
) -> Difference | None:
    try:
        fetched = await repositories.fetch(chart.repository, chart.name, chart.version)
        found = pushed_digest(fetched)
    except (ChartError, NotFound) as error:
        return Difference("source-gone", private, chart.repository, chart.digest, None, str(error))
    except NO_ANSWER as error:
        return Difference("no-answer", private, chart.repository, chart.digest, None, str(error))
    return _moved(private, f"{chart.name} {chart.version} of {chart.repository}", chart.digest, found)


def _moved(private: str, asked: str, digest: str, found: str) -> Difference | None:
    if found == digest:
        return None
    why = f"{asked} has the digest {found} now, and the lock {digest}: `apply --refresh` follows it"
    return Difference("tag-moved", private, asked, digest, found, why)
