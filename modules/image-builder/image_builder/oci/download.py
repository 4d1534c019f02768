"""A blob as it is read: taken up again where it broke off, and verified as a whole."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Protocol, Self

from .errors import DigestMismatch, RegistryError, Retryable, Unavailable
from .manifests import Descriptor
from .meter import Meter
from .retry import Attempts, RetryPolicy

WRONG_CONTENT = 4  # times that something may turn out to be other content before that is believed
_PROGRESS = 64 * 1024  # bytes that make a try count as one that got somewhere


class BlobSource(Protocol):
    """Where blobs are read: a repository of a registry, or a layout on disk."""

    def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        """The content from byte `start` on, in chunks; it is the reader who verifies it."""
        ...


class Download:
    """Reads a blob; an asynchronous context manager that ends the reading.

    The content is hashed once, in its order, however often parts of it have to be read again.

    Args:
        source: where the blob is.
        blob: digest and size of the content.
        retry: how a reading that broke off is tried again; each try that gets somewhere is the first.
        meter: counts what arrives.

    Attributes:
        position: the byte that `chunks` begins with.
        received: bytes that have arrived, those of broken tries among them.
        failure: the last error that `chunks` has raised: whoever hands its chunks on can tell its own
            errors from those of the source.
    """

    def __init__(self, source: BlobSource, blob: Descriptor, retry: RetryPolicy, meter: Meter) -> None:
        self.position = 0
        self.received = 0
        self.failure: RegistryError | None = None
        self._source = source
        self._blob = blob
        self._meter = meter
        self._attempts = Attempts(retry)
        self._arrived = 0  # bytes since the last try began
        self._stream: AsyncGenerator[bytes, None] | None = None
        self._rest = b""
        self._hash = hashlib.new(blob.digest.partition(":")[0])
        self._hashed = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def chunks(self, end: int) -> AsyncGenerator[bytes, None]:
        """The content from `position` to byte `end`, exclusively.

        Raises:
            DigestMismatch: the content or size is not that of the descriptor. It comes in place of the last
                chunk: nothing made from the others may be kept before.
            RegistryError: it cannot be read.
        """
        try:
            while self.position < end:
                chunk = self._rest or await self._next()
                room = end - self.position
                chunk, self._rest = chunk[:room], chunk[room:]
                self._take(chunk)
                if self.position == self._blob.size:
                    await self._verify()
                yield chunk
            if self._blob.size == 0:
                await self._verify()
        except RegistryError as error:
            self.failure = error
            raise
        except asyncio.CancelledError:
            await self._close()  # it was reading, and cannot go on there
            raise

    async def read(self) -> bytes:
        """All of a small blob, verified; see `chunks`.

        What comes as other content is asked for again: proxies corrupt single answers.
        """
        for _ in range(WRONG_CONTENT - 1):
            with suppress(DigestMismatch):
                return await self._read()
            await self.restart()
        return await self._read()

    async def _read(self) -> bytes:
        async with aclosing(self.chunks(self._blob.size)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def seek(self, position: int) -> None:
        """Go on at another byte; what was hashed before is not hashed again."""
        if position != self.position:
            await self._close()
            self.position = position

    async def restart(self) -> None:
        """Read the blob from its beginning and verify it anew."""
        await self._close()
        self.position = 0
        self._hash = hashlib.new(self._blob.digest.partition(":")[0])
        self._hashed = 0

    async def _next(self) -> bytes:
        """The next bytes from the source, over as many tries as it takes."""
        while True:
            try:
                if self._stream is None:
                    self._arrived = 0
                    self._stream = self._source.read_blob(self._blob, self.position)
                chunk = await anext(self._stream, b"")
                if not chunk:
                    raise Unavailable(f"{self._source}@{self._blob.digest}: the content ended too early")
            except Retryable as error:
                await self._close()
                if self._arrived >= _PROGRESS:
                    self._attempts.succeeded()
                await self._attempts.failed(error)
            else:
                self._arrived += len(chunk)
                self.received += len(chunk)
                self._meter.transferred += len(chunk)
                return chunk

    def _take(self, chunk: bytes) -> None:
        new = self.position + len(chunk) - self._hashed
        if new > 0 and self.position <= self._hashed:
            self._hash.update(chunk[-new:] if new < len(chunk) else chunk)
            self._hashed += new
        self.position += len(chunk)

    async def _verify(self) -> None:
        """Compare the digest; content that was not read from the beginning is left to the receiver."""
        subject = f"{self._source}@{self._blob.digest}"
        if self._rest or await self._has_more():
            raise DigestMismatch(
                f"{subject}: more than the {self._blob.size} bytes of its descriptor arrived"
            )
        found = f"{self._blob.digest.partition(':')[0]}:{self._hash.hexdigest()}"
        if self._hashed == self._blob.size and found != self._blob.digest:
            raise DigestMismatch(f"{subject}: the content has the digest {found}")

    async def _has_more(self) -> bool:
        try:
            return self._stream is not None and bool(await anext(self._stream, b""))
        except Retryable:
            return False  # it breaks off after its end: everything is there

    async def _close(self) -> None:
        self._rest = b""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.aclose()
