"""What builds images: behind one interface, so that it may be this machine or something else."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Protocol

from ..layers.request import ImageRequest, Registry
from .job import Status


@dataclass(frozen=True)
class Order:
    """One image to build and push.

    Attributes:
        job_id: the job that it belongs to.
        request: what to build; without a registry of its own it goes to the service's.
        registry: where it goes, with credentials, in either case.
        built_digest: digest that an earlier attempt had built, and may have pushed.
        owner_id: whose it is, and the files that were uploaded for it.
    """

    job_id: uuid.UUID
    request: ImageRequest
    registry: Registry
    built_digest: str | None
    owner_id: uuid.UUID


@dataclass(frozen=True)
class Built:
    """An image that stands in its registry."""

    digest: str
    size: int  # bytes of config and layers, compressed


class BuildFailedError(Exception):
    """The image cannot be built or pushed; the text is for the user."""


class BuildCancelledError(Exception):
    """The build ended because it was told to, with all its processes."""


class Progress(Protocol):
    """What a builder reports to."""

    def log(self, text: str) -> None:
        """Add to the job's log. How much a build may log is for the builder to limit."""

    async def advance(self, status: Status, digest: str | None = None) -> None:
        """Say how far the job is. With PUSHING comes the digest, so that no attempt pushes another.

        Raises:
            LostLeaseError: the job is no longer ours; no tag may be written.
        """


class Builder(Protocol):
    """Builds and pushes images."""

    async def build(self, order: Order, progress: Progress, cancel: asyncio.Event) -> Built:
        """Build and push one image.

        Args:
            order: what.
            progress: where to report to.
            cancel: when it is set, everything has to end within 2 s.

        Raises:
            BuildFailedError: it cannot be done.
            BuildCancelledError: `cancel` was set.
        """
