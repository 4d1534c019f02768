"""A blob on its way from one place to a registry, over breaks on both sides.

A small blob is read and verified before a byte of it is sent. A large one is sent as it arrives, in
parts that each take about a second: when one breaks off, the registry is asked what it has, and the
source for what it lacks. Nothing of a blob is kept on disk, but the journal of its upload.
"""

import asyncio
from contextlib import aclosing

from .download import Download
from .errors import DigestMismatch, RegistryError, Renewed, Retryable
from .journal import Journal
from .manifests import Descriptor
from .registry import Repository, Upload
from .retry import Attempts, RetryPolicy
from .transport import resolve

SMALL = 2 * 1024 * 1024  # bytes up to which a blob is sent from memory in one request
FIRST_PART = 8 * 1024 * 1024  # bytes
_LARGEST_PART = 1024 * 1024 * 1024
_QUICK = 1.0  # seconds; the part after a quicker one is twice as large
_BEGINNINGS = 8  # times that a blob is begun anew: answers are corrupted on the way, and uploads get lost
_LOST = (400, 404, 409, 416)  # answers of registries to the content of an upload that they do not have


async def upload_content(
    destination: Repository, blob: Descriptor, content: bytes, upload: Upload | None = None
) -> None:
    """Send a blob from memory.

    Args:
        destination: where to.
        blob: digest and size of the content.
        content: all of it, verified.
        upload: one that the registry has begun already.

    Raises:
        RegistryError: the registry refuses it, or fails for too long.
    """
    for last in (False,) * (_BEGINNINGS - 1) + (True,):
        upload = upload or await destination.begin_upload(blob)
        try:
            await destination.finish_upload(upload, blob, content)
        except RegistryError as error:
            if not _is_lost(error) or last:
                raise
        else:
            return
        upload = None
        if await destination.blob_exists(blob.digest):
            return  # only the answer was lost


class LargeUpload:
    """Sends a blob in parts.

    Args:
        destination: where to.
        blob: digest and size of the content.
        download: where its content comes from.
        retry: how parts are tried again; each try that gets on is the first.
        journal: remembers where the upload stands.
    """

    def __init__(
        self,
        destination: Repository,
        blob: Descriptor,
        download: Download,
        retry: RetryPolicy,
        journal: Journal,
    ) -> None:
        self._destination = destination
        self._blob = blob
        self._download = download
        self._attempts = Attempts(retry)
        self._journal = journal
        self._beginnings = 0
        self._part = FIRST_PART

    async def run(self, upload: Upload | None) -> None:
        """Send the blob, through an upload that the registry has begun already if there is one.

        Raises:
            DigestMismatch: the source's content is not what its digest says.
            RegistryError: one of the two registries refuses, or fails for too long.
        """
        found = await self._recalled()
        if found and upload:
            await self._destination.cancel_upload(upload, self._blob)
        upload = found or upload or await self._destination.begin_upload(self._blob)
        while not await self._is_done(upload):
            await self._download.restart()
            upload = await self._destination.begin_upload(self._blob)
        self._forget()

    async def _is_done(self, upload: Upload) -> bool:
        """One go at the whole blob; False when it has to be begun anew."""
        try:
            while upload.offset < self._blob.size:
                upload = await self._append(upload)
            await self._destination.finish_upload(upload, self._blob)
        except RegistryError as error:
            self._beginnings += 1
            mine = error is self._download.failure
            again = isinstance(error, DigestMismatch) if mine else _is_lost(error)
            if not again or self._beginnings == _BEGINNINGS:
                raise
            self._forget()
            if mine:
                await self._destination.cancel_upload(upload, self._blob)
            # Or only the answer was lost.
            return not mine and await self._destination.blob_exists(self._blob.digest)
        return True

    async def _append(self, upload: Upload) -> Upload:
        """Send one part; after a break, find out how much of it arrived."""
        end = min(self._blob.size, upload.offset + max(self._part, upload.least))
        await self._download.seek(upload.offset)
        begin = asyncio.get_running_loop().time()
        try:
            async with aclosing(self._download.chunks(end)) as chunks:
                upload = await self._destination.append(upload, self._blob, chunks, end)
        except Renewed as error:
            await self._attempts.failed(error)
            return upload
        except Retryable as error:
            if error is self._download.failure:
                raise
            await self._attempts.failed(error)
            self._part = FIRST_PART
            found = await self._destination.find_upload(upload, self._blob)
            if found is None or found.offset > end:  # or it has what nobody sent
                raise RegistryError(str(error), status=_LOST[0]) from None
            if found.offset > upload.offset:
                self._attempts.succeeded()
            return found
        self._attempts.succeeded()
        if asyncio.get_running_loop().time() - begin < _QUICK:
            self._part = min(_LARGEST_PART, 2 * self._part)
        self._journal.note(str(self._destination), self._blob.digest, str(upload.location), upload.offset)
        return upload

    async def _recalled(self) -> Upload | None:
        """The upload of a run that was killed, if the registry still has it."""
        known = self._journal.recall(str(self._destination), self._blob.digest)
        if known is None:
            return None
        location, offset = known
        try:
            url = resolve(self._destination.endpoint.origin, location, str(self._destination))
            return await self._destination.find_upload(Upload(url, offset), self._blob)
        except RegistryError:
            return None  # whatever has become of it

    def _forget(self) -> None:
        self._journal.forget(str(self._destination), self._blob.digest)


def _is_lost(error: RegistryError) -> bool:
    return error.status in _LOST
