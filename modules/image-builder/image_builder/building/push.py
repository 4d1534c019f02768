"""An image on its way into a registry: blobs first, the manifest by its tag last."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..oci.coalesce import Work, all_of
from ..oci.download import Download
from ..oci.errors import RegistryError
from ..oci.journal import Journal
from ..oci.manifests import Descriptor, Manifest
from ..oci.meter import Meter
from ..oci.reference import Reference
from ..oci.registry import Repository, Upload
from ..oci.transport import Transport
from ..oci.upload import SMALL, LargeUpload, upload_content
from .errors import PushError

_CHUNK = 1024 * 1024
LITTLE = 64 * 1024  # bytes; a blob that was just made is sent sooner than a registry says whether it has it
ASKED_AGAIN_AFTER = 2.0  # seconds that blobs take; meanwhile another worker may have got the job


@dataclass(frozen=True)
class FileContent:
    """A blob that lies on the disk."""

    path: Path

    async def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        """The content from byte `start` on."""
        with self.path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(_CHUNK):
                yield chunk


@dataclass(frozen=True)
class NewBlob:
    """A blob of the image, and where its content is.

    Attributes:
        descriptor: digest and size.
        content: its bytes, the file that has them, or the repository.
    """

    descriptor: Descriptor
    content: bytes | FileContent | Repository


async def push(
    transport: Transport,
    target: Reference,
    manifest: Manifest,
    blobs: Sequence[NewBlob],
    before_tag: Callable[[], Awaitable[None]],
) -> None:
    """Have an image in a registry; what is there already is not sent.

    Args:
        transport: how both registries are reached.
        target: name of the image, by tag.
        manifest: its manifest.
        blobs: its configuration and layers.
        before_tag: asked while the blobs are sent, and again before the tag is written when they took long;
            what it raises is raised.

    Raises:
        PushError: the registry refuses something, or failed for too long.
    """
    place = Repository(transport, target)
    begun = time.monotonic()
    try:
        await _beside(before_tag, _send(transport, place, blobs))
        if time.monotonic() - begun > ASKED_AGAIN_AFTER:
            await before_tag()
        await place.put_manifest(manifest, target.identifier)
    except RegistryError as error:
        raise PushError(str(error)) from None


async def find(transport: Transport, target: Reference) -> str | None:
    """The digest that a tag has; None when it, or its repository, is not there.

    Raises:
        PushError: the registry refuses to say.
    """
    try:
        return await Repository(transport, target).find_manifest(target.identifier)
    except RegistryError as error:
        raise PushError(str(error)) from None


async def _send(transport: Transport, place: Repository, blobs: Sequence[NewBlob]) -> None:
    await all_of([_ensure(transport, place, blob) for blob in blobs])


async def _beside(before_tag: Callable[[], Awaitable[None]], sending: Work) -> None:
    """Ask while blobs are sent: one that fails does not break the question off, which writes a log."""
    sent = asyncio.create_task(sending)
    try:
        await before_tag()
        await sent
    finally:
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)


async def _ensure(transport: Transport, place: Repository, blob: NewBlob) -> None:
    if not _is_little(place, blob) and await place.blob_exists(blob.descriptor.digest):
        return
    upload = await _mounted(place, blob)
    if upload is True:
        return
    begun = upload if isinstance(upload, Upload) else None
    if isinstance(blob.content, bytes):
        await upload_content(place, blob.descriptor, blob.content, begun)
        return
    async with (
        transport.transfer(place.endpoint),
        Download(blob.content, blob.descriptor, transport.retry, Meter()) as download,
    ):
        if blob.descriptor.size <= SMALL:
            await upload_content(place, blob.descriptor, await download.read(), begun)
        else:
            await LargeUpload(place, blob.descriptor, download, transport.retry, Journal()).run(begun)


def _is_little(place: Repository, blob: NewBlob) -> bool:
    """Whether asking for a blob costs more than sending it; ECR may refuse what it has already."""
    made_here = not isinstance(blob.content, Repository)
    return made_here and blob.descriptor.size <= LITTLE and not place.is_ecr


async def _mounted(place: Repository, blob: NewBlob) -> bool | Upload:
    """True when the blob could be taken over within the registry; else an upload that it began, or False."""
    source = blob.content
    if not isinstance(source, Repository) or source.registry != place.registry:
        return False
    try:
        return await place.mount_blob(blob.descriptor.digest, source.repository) or True
    except RegistryError:
        return False  # mounting saves work; the upload will tell what is wrong
