"""Copies of images between registries: all architectures, the same bytes, the same digests.

An image is written from the bottom up: blobs, then the manifests that refer to them by digest, what
is attached to it, and the tag last. A run that breaks leaves content without a name, and never a tag
without its content.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from .attached import Attachments, add_referrers, descriptor_of
from .claims import Claims
from .coalesce import Coalescer, all_of
from .download import Download
from .errors import DigestMismatch, InvalidManifest, RegistryError
from .journal import Journal
from .manifests import Descriptor, Manifest
from .meter import Meter
from .reference import Reference
from .registry import Repository, Upload
from .source import ImageSource
from .transport import Transport
from .upload import SMALL, LargeUpload, upload_content

ATTACHED_LIMIT = 1000  # referrers and signatures of one image, those of its architectures among them
DEPTH_LIMIT = 4  # levels of indexes, one inside the other; and of what is attached to the attached


@dataclass(frozen=True)
class CopyResult:
    """What one copy has done.

    Attributes:
        digest: digest of the image at source and destination.
        bytes_transferred: bytes of blobs that were brought from the source.
        blobs_mounted: blobs taken over from another repository of the destination's registry.
        blobs_present: blobs that were there already or that another copy of this run brought.
        blobs_uploaded: blobs that were transferred.
        attached: tags and digests, at the destination, of what is attached to the image: referrers,
            and signatures, attestations and SBOMs of cosign. Empty when nothing had to be done.
        refused: digests of referrers that the destination does not take: some registries answer 405 to
            every manifest that refers to another one.
    """

    digest: str
    bytes_transferred: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    blobs_uploaded: int = 0
    attached: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass
class _Job:
    """One copy under way, and what it has done so far.

    Attributes:
        is_new: nothing is at the destination by this name, so that its parts are not looked for.
        manifests: digests of all manifests of the image, whose attachments are copied too.
    """

    source: ImageSource
    destination: Repository
    is_new: bool
    bytes_transferred: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    blobs_uploaded: int = 0
    manifests: list[str] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def result(self, digest: str) -> CopyResult:
        return CopyResult(
            digest,
            self.bytes_transferred,
            self.blobs_mounted,
            self.blobs_present,
            self.blobs_uploaded,
            tuple(self.attached),
            tuple(self.refused),
        )


class Copier:
    """Copies images, and remembers for one run what each destination holds.

    Any number of copies may run at once; the transport limits how many requests do.

    Args:
        transport: how registries are reached.
        journal: where uploads under way are noted, so that the next run can go on with them.
        source: what an image is copied from; its repository without this.

    Attributes:
        meter: bytes to transfer and transferred, of all copies.
    """

    def __init__(
        self,
        transport: Transport,
        journal: Journal | None = None,
        source: Callable[[Reference], ImageSource] | None = None,
    ) -> None:
        self.meter = Meter()
        self._transport = transport
        self._journal = journal or Journal()
        self._source = source or (lambda reference: Repository(transport, reference))
        self._present: set[tuple[str, str]] = set()  # repository, digest of a manifest or blob in it
        self._claims = Claims()
        self._attachments = Attachments()
        self._work = Coalescer()

    async def copy_image(
        self, source: Reference, destination: Reference, *, refresh: bool = False
    ) -> CopyResult:
        """Copy an image or index with everything below it and attached to it; digests stay the same.

        A destination that names the image by the same digest already costs one HEAD at each side,
        and none at the source when that is given by digest.

        Args:
            source: what to copy, by tag or digest.
            destination: where to; its digest, if it has one, must be that of the source.
            refresh: look for what is attached also when the image is in place.

        Raises:
            NotFound: the source does not exist, or the destination's repository.
            DigestMismatch: content is not what its digest says, or the destination's digest is another.
            InvalidManifest: a manifest is malformed, or indexes nest deeper than 4.
            RegistryError: a registry refused a request, or did not answer after several tries.
        """
        place = Repository(self._transport, destination)
        origin = self._source(source)
        there = await place.find_manifest(destination.identifier)
        manifest: Manifest | None = None
        digest = source.digest
        if digest is None and there is None:
            manifest = await origin.get_manifest(source.identifier)
            digest = manifest.digest
        elif digest is None:
            digest = await origin.head_manifest(source.identifier)
        if destination.digest not in (None, digest):
            raise DigestMismatch(f"{destination}: the image to copy there has the digest {digest}")
        job = _Job(origin, place, is_new=there is None)
        if there != digest:
            await self._copy(job, manifest or await origin.get_manifest(digest), destination.tag or digest)
        elif refresh:
            await self._refresh(job, digest)
        return job.result(digest)

    async def _copy(self, job: _Job, manifest: Manifest, name: str) -> None:
        with self._claimed(job, manifest):
            await self._copy_content(job, manifest, depth=1)
            await self._copy_attached(job, manifest)
            await self._put(job, manifest, name)

    async def _refresh(self, job: _Job, digest: str) -> None:
        """Bring what has been attached to an image since it was copied."""
        manifest = await job.source.get_manifest(digest)
        job.manifests += [digest, *(child.digest for child in manifest.children)]
        await self._copy_attached(job, None)

    @contextmanager
    def _claimed(self, job: _Job, manifest: Manifest) -> Iterator[None]:
        """Claim the blobs of a manifest until it is written; whoever waits for them learns how it went.

        The work for a manifest may go on when the copy that began it is over, because another one
        waits for it, so that the claims are those of the manifest.
        """
        registry, repository = job.destination.registry, job.destination.repository
        for blob in manifest.blobs:
            self._claims.claim(registry, _content(blob), repository)
        try:
            yield
        finally:
            for blob in manifest.blobs:
                self._claims.abandon(registry, _content(blob), repository)

    async def _copy_content(self, job: _Job, manifest: Manifest, depth: int) -> None:
        """Copy everything that a manifest refers to; the manifest itself is left to the caller.

        An index cannot contain itself, because its bytes are checked against the digest it is asked
        for by; what a registry makes up on the way ends at DEPTH_LIMIT.
        """
        if manifest.children and depth > DEPTH_LIMIT:
            raise InvalidManifest(f"{job.source}@{manifest.digest}: indexes nest deeper than {DEPTH_LIMIT}")
        job.manifests.append(manifest.digest)
        await all_of(
            [self._ensure_manifest(job, child, depth + 1) for child in manifest.children]
            + [self._ensure_blob(job, blob) for blob in manifest.blobs]
        )

    async def _copy_manifest(self, job: _Job, manifest: Manifest, name: str, depth: int = 1) -> bool:
        """Copy what a manifest refers to, and write it; whether the registry lists it as a referrer."""
        with self._claimed(job, manifest):
            await self._copy_content(job, manifest, depth)
            return await self._put(job, manifest, name)

    async def _put(self, job: _Job, manifest: Manifest, name: str) -> bool:
        listed = await job.destination.put_manifest(manifest, name)
        for blob in manifest.blobs:
            self._fulfil(job, blob)
        return listed

    def _fulfil(self, job: _Job, blob: Descriptor) -> None:
        self._claims.fulfil(job.destination.registry, _content(blob), job.destination.repository)

    async def _ensure_manifest(self, job: _Job, child: Descriptor, depth: int) -> None:
        """Have a child of an index at the destination, by its digest."""

        async def copy() -> None:
            if job.is_new or not await job.destination.has_manifest(child):
                manifest = await job.source.get_manifest(child.digest)
                await self._copy_manifest(job, manifest, child.digest, depth)
            self._present.add(key)

        job.manifests.append(child.digest)  # what is attached to it may be missing although it is there
        key = (str(job.destination), child.digest)
        if key not in self._present:
            await self._work.run(key, copy)

    async def _copy_attached(self, job: _Job, root: Manifest | None) -> None:
        """Copy referrers and signatures of all the image's manifests, and what those have themselves.

        In ECR the image itself is written first, by its digest: others wait for its blobs until then, and
        what is attached may have to wait for theirs.
        """
        seen: set[str] = set()
        for _ in range(DEPTH_LIMIT):
            subjects = [digest for digest in dict.fromkeys(job.manifests) if digest not in seen]
            if not subjects:
                return
            seen.update(subjects)
            found = await self._attachments.find(job.source, subjects)
            if len(job.attached) + found.count > ATTACHED_LIMIT:
                raise InvalidManifest(f"{job.source}: more than {ATTACHED_LIMIT} attached to one image")
            if root and found.count and job.destination.is_ecr:
                await self._put(job, root, root.digest)
                root = None
            await all_of([self._copy_tag(job, tag) for tag in found.tags])
            for subject, entries in found.referrers.items():
                await self._copy_referrers(job, subject, entries)

    async def _copy_tag(self, job: _Job, tag: str) -> None:
        manifest = await job.source.get_manifest(tag)
        if await job.destination.find_manifest(tag) == manifest.digest:  # the tag may be immutable
            job.manifests.append(manifest.digest)
        else:
            await self._copy_manifest(job, manifest, tag)
        job.attached.append(tag)

    async def _copy_referrers(self, job: _Job, subject: str, entries: tuple[dict[str, object], ...]) -> None:
        unlisted = []
        for entry in entries:
            manifest = await job.source.get_manifest(descriptor_of(entry).digest)
            try:
                listed = await self._copy_manifest(job, manifest, manifest.digest)
            except RegistryError as error:
                if error.status != HTTPStatus.METHOD_NOT_ALLOWED:
                    raise
                job.refused.append(manifest.digest)  # the image is worth having without it
                continue
            if not listed:
                unlisted.append(entry)
            job.attached.append(manifest.digest)
        if unlisted:
            await add_referrers(job.destination, subject, unlisted)

    async def _ensure_blob(self, job: _Job, blob: Descriptor) -> None:
        """Have a blob at the destination; transferred at most once per repository and run."""
        key = (str(job.destination), blob.digest)
        begun = key not in self._present and await self._work.run(key, lambda: self._bring_blob(job, blob))
        if not begun:
            job.blobs_present += 1

    async def _bring_blob(self, job: _Job, blob: Descriptor) -> None:
        """Look, then mount, then transfer."""
        destination = job.destination
        origin = await self._origin(job, blob)
        if destination.is_ecr and await destination.blob_exists(blob.digest):
            job.blobs_present += 1
        else:
            # Elsewhere a mount from the repository itself tells whether the blob is there, and begins the
            # upload if it is not: one request in place of two.
            place = origin or (None if destination.is_ecr else destination.repository)
            mounted, upload = await self._mount(job, blob, place)
            if not mounted:
                await self._transfer(job, blob, upload)
            elif origin:
                job.blobs_mounted += 1
            else:
                job.blobs_present += 1
        self._present.add((str(destination), blob.digest))
        if not destination.is_ecr:
            self._fulfil(job, blob)

    async def _origin(self, job: _Job, blob: Descriptor) -> str | None:
        """Another repository of the destination's registry that has the blob, or will have it soon."""
        registry, repository = job.destination.registry, job.destination.repository
        origin = await self._claims.origin(registry, _content(blob), repository)
        if origin is None and job.source.registry == registry and job.source.repository != repository:
            return job.source.repository
        return origin

    async def _mount(self, job: _Job, blob: Descriptor, place: str | None) -> tuple[bool, Upload | None]:
        """Mount from a repository of the destination's registry.

        Returns:
            Whether it is mounted, and the upload that the registry began if it is not.
        """
        if place is None:
            return False, None
        try:
            upload = await job.destination.mount_blob(blob.digest, place)
        except RegistryError:  # mounting saves work; looking and the upload will tell what is wrong
            return await job.destination.blob_exists(blob.digest), None
        return upload is None, upload

    async def _transfer(self, job: _Job, blob: Descriptor, upload: Upload | None) -> None:
        retry = self._transport.retry
        self.meter.expected += blob.size
        async with (
            self._transport.transfer(job.source.endpoint),
            Download(job.source, blob, retry, self.meter) as download,
        ):
            if blob.size <= SMALL:
                await upload_content(job.destination, blob, await download.read(), upload)
            else:
                await LargeUpload(job.destination, blob, download, retry, self._journal).run(upload)
        job.bytes_transferred += download.received
        job.blobs_uploaded += 1


def _content(blob: Descriptor) -> str:
    """What a claim is about: the true size of a blob must not make good a wrong one."""
    return f"{blob.digest} {blob.size}"
