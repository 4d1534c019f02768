"""Manifests and indexes, read without trust (OCI image-spec; Docker image manifest v2, schema 2)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .digest import digest_of, is_digest
from .errors import DigestMismatch, InvalidManifest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT = ", ".join([OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST])

SIZE_LIMIT = 4 * 1024 * 1024  # bytes of a manifest (OCI distribution-spec, Pushing manifests)

_SCHEMA_1_PREFIX = "application/vnd.docker.distribution.manifest.v1+"
_NOT_DISTRIBUTED_PREFIXES = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)
_VAGUE_TYPES = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
_LARGEST_SIZE = 2**63 - 1  # bytes, the int64 of the specification


@dataclass(frozen=True)
class Descriptor:
    """A pointer to content (OCI image-spec, Descriptor).

    Attributes:
        media_type: media type of the content.
        digest: its digest.
        size: its length in bytes.
    """

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A manifest or index with the exact bytes that its digest is of.

    Attributes:
        media_type: media type, one of INDEX_TYPES and MANIFEST_TYPES.
        raw: the bytes, never written anew.
        digest: their digest.
        children: manifests of an index; empty for the manifest of an image.
        blobs: config and layers of an image, without layers that must not be distributed.
        subject: digest of the manifest that this one refers to (OCI image-spec, subject), if it does.
    """

    media_type: str
    raw: bytes
    digest: str
    children: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]
    subject: str | None = None


def index_of(entries: Iterable[Mapping[str, object]]) -> Manifest:
    """An OCI index with these entries."""
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
    return parse_manifest(json.dumps(value).encode(), content_type=OCI_INDEX, subject="index of referrers")


def parse_manifest(
    raw: bytes, *, content_type: str, subject: str, expected_digest: str | None = None
) -> Manifest:
    """Read a manifest or index as a registry sent it.

    Args:
        raw: the body.
        content_type: the Content-Type header; the body's own `mediaType` stands in for a vague one.
        subject: what errors call it.
        expected_digest: the digest that it was asked for by, or that the registry named.

    Raises:
        DigestMismatch: the bytes do not have the expected digest.
        InvalidManifest: larger than SIZE_LIMIT, malformed, of an unknown type, or ambiguous.
    """
    if len(raw) > SIZE_LIMIT:
        raise InvalidManifest(f"{subject}: the manifest is larger than {SIZE_LIMIT} bytes")
    digest = digest_of(raw, like=expected_digest or "sha256:")
    if expected_digest is not None and digest != expected_digest:
        raise DigestMismatch(f"{subject}: the registry sent a manifest with the digest {digest}")
    try:
        value = _load(raw)
        media_type = _media_type(value, content_type)
        if media_type in INDEX_TYPES:
            return Manifest(media_type, raw, digest, _children(value), (), _subject(value))
        return Manifest(media_type, raw, digest, (), _blobs(value), _subject(value))
    except _Flaw as flaw:
        raise InvalidManifest(f"{subject}: invalid manifest: {flaw}") from None


class _Flaw(ValueError):  # noqa: N818 - it never leaves this file
    """What is wrong with a manifest, without its name."""


def _load(raw: bytes) -> dict[str, object]:
    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise _Flaw("it is not JSON") from None
    if not isinstance(value, dict):
        raise _Flaw("it is not a JSON object")
    return value


def _media_type(value: dict[str, object], content_type: str) -> str:
    stated = content_type.partition(";")[0].strip().lower()
    own = value.get("mediaType", "")
    if not isinstance(own, str):
        raise _Flaw("its mediaType is not a text")
    if stated in _VAGUE_TYPES:
        stated = own
    if stated.startswith(_SCHEMA_1_PREFIX) or value.get("schemaVersion") == 1:
        raise _Flaw("it is of schema 1, which has no stable digests; push the image anew")
    if stated not in INDEX_TYPES | MANIFEST_TYPES:
        raise _Flaw(f"the media type {stated[:100]!r} is unknown")
    if own and own != stated:
        raise _Flaw(f"it was sent as {stated} and calls itself {own[:100]!r}")
    if value.get("schemaVersion") != 2:
        raise _Flaw("its schemaVersion is not 2")
    return stated


def _children(value: dict[str, object]) -> tuple[Descriptor, ...]:
    if "config" in value or "layers" in value:
        raise _Flaw("it is an index and an image at once")
    children = _unique(_descriptor(entry, "manifests") for entry in _list(value, "manifests"))
    for child in children:
        if child.media_type not in INDEX_TYPES | MANIFEST_TYPES:
            raise _Flaw(f"the media type {child.media_type[:100]!r} of a child is unknown")
        if child.size > SIZE_LIMIT:
            raise _Flaw(f"a child is larger than {SIZE_LIMIT} bytes")
    return children


def _blobs(value: dict[str, object]) -> tuple[Descriptor, ...]:
    if "manifests" in value:
        raise _Flaw("it is an index and an image at once")
    config = _descriptor(value.get("config"), "config")
    layers = [_descriptor(entry, "layers") for entry in _list(value, "layers")]
    kept = [layer for layer in layers if not layer.media_type.startswith(_NOT_DISTRIBUTED_PREFIXES)]
    return _unique([config, *kept])


def _subject(value: dict[str, object]) -> str | None:
    return _descriptor(value["subject"], "subject").digest if value.get("subject") else None


def _list(value: dict[str, object], key: str) -> list[object]:
    entries = value.get(key)
    if not isinstance(entries, list):
        raise _Flaw(f"{key!r} is not a list")
    return entries


def _descriptor(value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise _Flaw(f"a descriptor in {where!r} is not an object")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or not media_type:
        raise _Flaw(f"a descriptor in {where!r} has no mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise _Flaw(f"a descriptor in {where!r} has no valid digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_SIZE:
        raise _Flaw(f"the size of {digest} is not a number of bytes")
    return Descriptor(media_type, digest, size)


def _unique(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Each digest once, in their order; a digest with two sizes is a flaw."""
    by_digest: dict[str, Descriptor] = {}
    for descriptor in descriptors:
        first = by_digest.setdefault(descriptor.digest, descriptor)
        if first.size != descriptor.size:
            raise _Flaw(f"{descriptor.digest} has two sizes")
    return tuple(by_digest.values())
