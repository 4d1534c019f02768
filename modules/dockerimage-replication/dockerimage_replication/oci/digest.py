"""Digests: the name of content by its hash (OCI image-spec, Descriptor, Digests)."""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

from .errors import DigestMismatch

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of a registered algorithm (sha256, sha512) in canonical form."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes, *, like: str = "sha256:") -> str:
    """The digest of `data`, by the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


async def verified(
    chunks: AsyncIterable[bytes], digest: str, size: int, subject: str
) -> AsyncIterator[bytes]:
    """Pass chunks on, and fail unless they are exactly `size` bytes with that digest.

    The consumer has seen all bytes before the last check: nothing it builds from them may be kept
    until the iteration has ended.

    Raises:
        DigestMismatch: the content is too long, too short, or other content; names `subject`.
    """
    algorithm, _, expected = digest.partition(":")
    hasher = hashlib.new(algorithm)
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise DigestMismatch(f"{subject}: more than the {size} bytes of its descriptor arrived")
        hasher.update(chunk)
        yield chunk
    if received != size:
        raise DigestMismatch(f"{subject}: {received} bytes arrived, its descriptor says {size}")
    if hasher.hexdigest() != expected:
        raise DigestMismatch(f"{subject}: the content has the digest {algorithm}:{hasher.hexdigest()}")
