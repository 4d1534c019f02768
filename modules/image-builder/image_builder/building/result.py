"""What a build is given beside its request, and what it gives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Phase(Enum):
    """Where a build stands."""

    AUTHORIZING = "AUTHORIZING"
    GENERATING = "GENERATING"
    BUILDING = "BUILDING"
    PUSHING = "PUSHING"


def _ignore(phase: Phase) -> None:
    """Nobody wants to know."""


async def _ready() -> None:
    """Everything is there."""


async def _allow(digest: str) -> None:
    """Nobody minds."""


@dataclass(frozen=True)
class BuildContext:
    """What belongs to one build and is not in its request.

    Attributes:
        uploads: folder with the files that were uploaded, by their digests without `sha256:`.
        on_phase: called when the build gets on; it must not block.
        before_push: awaited before anything is sent; what it raises ends the build.
        before_tag: awaited with the digest before the tag is written, while blobs are on their way; what it
            raises ends the build.
    """

    uploads: Path | None = None
    on_phase: Callable[[Phase], None] = _ignore
    before_push: Callable[[], Awaitable[None]] = _ready
    before_tag: Callable[[str], Awaitable[None]] = _allow


@dataclass(frozen=True)
class BuildResult:
    """An image in its registry; the same for both ways of building.

    Attributes:
        reference: its name by tag, as the request means it.
        digest: digest of its manifest.
        size: bytes of its manifest, configuration and layers, as stored.
        way: `assembled` or `commands`.
        cached: whether it was known from an earlier build of the same content.
        timings: seconds that the parts took, by name (`resolve`, `build`, `push`, `total`).
    """

    reference: str
    digest: str
    size: int
    way: str
    cached: bool = False
    timings: Mapping[str, float] = field(default_factory=dict)
