"""What is attached to an image: referrers (OCI distribution-spec, Listing referrers) and cosign's tags.

Registries without the referrers API keep the list in an index, by a tag made of the image's digest
(Referrers tag schema). Cosign keeps signatures, attestations and SBOMs by such tags with a suffix.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .digest import is_digest
from .errors import InvalidManifest, NotFound, RegistryError, Retryable
from .manifests import INDEX_TYPES, Descriptor, index_of
from .registry import Repository
from .source import ImageSource

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")


@dataclass(frozen=True)
class Attached:
    """What a repository has attached to some manifests.

    Attributes:
        tags: cosign's tags.
        referrers: referrers by the digest of their subject, as the entries of an index.
    """

    tags: tuple[str, ...]
    referrers: dict[str, tuple[dict[str, object], ...]]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.tags) + sum(map(len, self.referrers.values()))


def schema_tag(digest: str) -> str:
    """The tag of a digest (Referrers tag schema)."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


class Attachments:
    """Finds what is attached; remembers for one run what it can ask each repository.

    The tags of a repository are listed once, however many images it has.
    """

    def __init__(self) -> None:
        self._tags: dict[str, frozenset[str] | None] = {}  # by repository; None where no list is given
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._without_api: set[str] = set()  # repositories

    async def find(self, repository: ImageSource, digests: Iterable[str]) -> Attached:
        """What `repository` has attached to manifests.

        Raises:
            RegistryError: the registry fails, or sends a list that makes no sense.
        """
        tags: list[str] = []
        referrers: dict[str, tuple[dict[str, object], ...]] = {}
        for digest in digests:
            there = await self._list(repository, digest)
            tags += [tag for suffix in COSIGN_SUFFIXES if (tag := schema_tag(digest) + suffix) in there]
            entries = await self._referrers(repository, digest, there)
            if entries:
                referrers[digest] = entries
        return Attached(tuple(tags), referrers)

    async def _list(self, repository: ImageSource, digest: str) -> frozenset[str]:
        """The repository's tags, or those that could be asked for one by one where no list is given."""
        name = str(repository)
        async with self._locks[name]:
            if name not in self._tags:
                self._tags[name] = await _all_tags(repository)
        tags = self._tags[name]
        if tags is None:
            names = [schema_tag(digest) + suffix for suffix in ("", *COSIGN_SUFFIXES)]
            return frozenset([name for name in names if await _exists(repository, name)])
        return tags

    async def _referrers(
        self, repository: ImageSource, digest: str, tags: frozenset[str]
    ) -> tuple[dict[str, object], ...]:
        if str(repository) not in self._without_api:
            try:
                pages = await repository.get_referrers(digest)
            except (Retryable, InvalidManifest):
                raise
            except RegistryError:
                self._without_api.add(str(repository))
            else:
                return tuple(entry for page in pages for entry in _entries(page, str(repository)))
        if schema_tag(digest) not in tags:
            return ()
        index = await repository.get_manifest(schema_tag(digest))
        return _entries(index.raw, str(repository)) if index.media_type in INDEX_TYPES else ()


def descriptor_of(entry: dict[str, object]) -> Descriptor:
    """The descriptor of a referrer that `Attachments` has found."""
    return Descriptor(str(entry["mediaType"]), str(entry["digest"]), int(str(entry["size"])))


async def add_referrers(repository: Repository, subject: str, entries: Iterable[dict[str, object]]) -> None:
    """Add to the list of a registry without the API, by its tag (Pushing manifests with subject)."""
    tag = schema_tag(subject)
    try:
        known = list(_entries((await repository.get_manifest(tag)).raw, str(repository)))
    except NotFound:
        known = []
    digests = {entry["digest"] for entry in known}
    new = [entry for entry in entries if entry["digest"] not in digests]
    if new:
        await repository.put_manifest(index_of([*known, *new]), tag)


async def _all_tags(repository: ImageSource) -> frozenset[str] | None:
    try:
        return frozenset(await repository.list_tags())
    except Retryable:
        raise
    except RegistryError:
        return None


async def _exists(repository: ImageSource, tag: str) -> bool:
    try:
        await repository.head_manifest(tag)
    except Retryable:
        raise
    except RegistryError:  # not there, or not for us
        return False
    return True


def _entries(raw: bytes, subject: str) -> tuple[dict[str, object], ...]:
    """The entries of an index of referrers."""
    try:
        entries = json.loads(raw.decode())["manifests"]
        for entry in entries:
            if not (is_digest(entry["digest"]) and isinstance(entry["mediaType"], str)):
                raise ValueError("no descriptor")
            int(entry["size"])
        return tuple(dict(entry) for entry in entries)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidManifest(f"{subject}: its list of referrers makes no sense") from None
