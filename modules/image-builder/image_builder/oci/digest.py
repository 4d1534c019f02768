"""Digests: the name of content by its hash (OCI image-spec, Descriptor, Digests)."""

import hashlib
import re

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of a registered algorithm (sha256, sha512) in canonical form."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes, *, like: str = "sha256:") -> str:
    """The digest of `data`, by the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
