"""Copies of images between registries: all architectures, the same bytes, the same digests.

An image is written from the bottom up: blobs, then the manifests that refer to them by digest, and
the tag last. A run that breaks leaves content without a name, and never a tag without its content.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from .coalesce import Coalescer, all_of
from .errors import DigestMismatch, InvalidManifest, NotFound, RegistryError
from .manifests import Descriptor, Manifest
from .pump import Pump
from .reference import Reference
from .registry import Repository, Upload
from .transport import Transport

DEPTH_LIMIT = 4  # levels of indexes, one inside the other


@dataclass(frozen=True)
class CopyResult:
    """What one copy has done.

    Attributes:
        digest: digest of the image at source and destination.
        bytes_transferred: bytes of blobs read from the source, those of broken tries among them.
        blobs_mounted: blobs taken over from another repository of the destination's registry.
        blobs_present: blobs that were there already or that another copy of this run brought.
        blobs_uploaded: blobs that were transferred.
    """

    digest: str
    bytes_transferred: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    blobs_uploaded: int = 0


@dataclass
class _Job:
    """One copy under way, and what it has done so far."""

    source: Repository
    destination: Repository
    bytes_transferred: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    blobs_uploaded: int = 0

    def result(self, digest: str) -> CopyResult:
        return CopyResult(
            digest, self.bytes_transferred, self.blobs_mounted, self.blobs_present, self.blobs_uploaded
        )


class Copier:
    """Copies images, and remembers for one run what each destination holds.

    Any number of copies may run at once; the transport limits how many requests do.

    Args:
        transport: how registries are reached.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._present: set[tuple[str, str]] = set()  # repository, digest of a manifest or blob in it
        self._mountable: dict[tuple[str, str], str] = {}  # registry, blob -> repository with its image
        self._work = Coalescer()

    async def copy_image(self, source: Reference, destination: Reference) -> CopyResult:
        """Copy an image or index with everything below it; the digest stays the same.

        A destination that names the image by the same digest already costs one HEAD at each side,
        and none at the source when that is given by digest.

        Args:
            source: what to copy, by tag or digest.
            destination: where to; its digest, if it has one, must be that of the source.

        Raises:
            NotFound: the source does not exist, or the destination's repository.
            DigestMismatch: content is not what its digest says, or the destination's digest is another.
            InvalidManifest: a manifest is malformed, or indexes nest deeper than 4.
            RegistryError: a registry refused a request, or did not answer after several tries.
        """
        job = _Job(Repository(self._transport, source), Repository(self._transport, destination))
        digest = source.digest or await job.source.head_manifest(source.identifier)
        if destination.digest not in (None, digest):
            raise DigestMismatch(f"{destination}: the image to copy there has the digest {digest}")
        name = destination.tag or digest
        if await _digest_at(job.destination, name) != digest:
            manifest = await self._copy_content(job, digest, depth=1)
            await self._put(job, manifest, name)
        return job.result(digest)

    async def _copy_content(self, job: _Job, digest: str, depth: int) -> Manifest:
        """Copy everything that a manifest refers to; the manifest itself is left to the caller.

        An index cannot contain itself, because its bytes are checked against the digest it is asked
        for by; what a registry makes up on the way ends at DEPTH_LIMIT.
        """
        manifest = await job.source.get_manifest(digest)
        if manifest.children and depth > DEPTH_LIMIT:
            raise InvalidManifest(f"{job.source}@{digest}: indexes nest deeper than {DEPTH_LIMIT}")
        await all_of(
            [self._ensure_manifest(job, child, depth + 1) for child in manifest.children]
            + [self._ensure_blob(job, blob) for blob in manifest.blobs]
        )
        return manifest

    async def _put(self, job: _Job, manifest: Manifest, name: str) -> None:
        await job.destination.put_manifest(manifest, name)
        for blob in manifest.blobs:
            self._mountable[job.destination.registry, blob.digest] = job.destination.repository

    async def _ensure_manifest(self, job: _Job, child: Descriptor, depth: int) -> None:
        """Have a child of an index at the destination, by its digest."""

        async def copy() -> None:
            if not await job.destination.has_manifest(child):
                manifest = await self._copy_content(job, child.digest, depth)
                await self._put(job, manifest, child.digest)
            self._present.add(key)

        key = (str(job.destination), child.digest)
        if key not in self._present:
            await self._work.run(key, copy)

    async def _ensure_blob(self, job: _Job, blob: Descriptor) -> None:
        """Have a blob at the destination; transferred at most once per repository and run."""
        key = (str(job.destination), blob.digest)
        begun = key not in self._present and await self._work.run(
            key, lambda: self._transport.retry.run(lambda: self._bring_blob(job, blob))
        )
        if not begun:
            job.blobs_present += 1

    async def _bring_blob(self, job: _Job, blob: Descriptor) -> None:
        """One try: look, then mount, then transfer."""
        if await job.destination.blob_exists(blob.digest):
            job.blobs_present += 1
        else:
            mounted, upload = await self._mount(job, blob)
            if mounted:
                job.blobs_mounted += 1
            else:
                async with Pump(_counted(job, blob)) as chunks:
                    await job.destination.upload_blob(blob, chunks, upload)
                job.blobs_uploaded += 1
        self._present.add((str(job.destination), blob.digest))

    async def _mount(self, job: _Job, blob: Descriptor) -> tuple[bool, Upload | None]:
        """Mount from a repository where an image refers to the blob; some registries demand that.

        Returns:
            Whether it is mounted, and the upload that the registry began if it is not.
        """
        origin = self._mountable.get((job.destination.registry, blob.digest))
        if origin is None and job.source.registry == job.destination.registry:
            origin = job.source.repository
        if origin is None or origin == job.destination.repository:
            return False, None
        try:
            upload = await job.destination.mount_blob(blob.digest, origin)
        except RegistryError:
            return False, None  # mounting saves work; the upload will tell what is wrong
        return upload is None, upload


async def _digest_at(repository: Repository, name: str) -> str | None:
    try:
        return await repository.head_manifest(name)
    except NotFound:
        return None


async def _counted(job: _Job, blob: Descriptor) -> AsyncGenerator[bytes, None]:
    async with aclosing(job.source.open_blob(blob)) as chunks:
        async for chunk in chunks:
            job.bytes_transferred += len(chunk)
            yield chunk
