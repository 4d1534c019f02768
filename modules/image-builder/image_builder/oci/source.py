"""Where an image is copied from: a repository of a registry, or a layout on disk."""

from typing import Protocol

from .download import BlobSource
from .endpoints import Endpoint
from .manifests import Manifest


class ManifestSource(BlobSource, Protocol):
    """Where manifests and blobs are read."""

    async def get_manifest(self, identifier: str) -> Manifest:
        """A manifest or index, by tag or digest; its bytes are checked against the digest."""


class ImageSource(ManifestSource, Protocol):
    """What a copy asks of its source; `Repository` and `LayoutImage` are ones."""

    @property
    def endpoint(self) -> Endpoint:
        """Whose limits transfers keep to."""

    @property
    def registry(self) -> str:
        """The registry, empty for a source that is none: blobs are mounted within one registry only."""

    @property
    def repository(self) -> str:
        """The repository in it."""

    async def head_manifest(self, identifier: str) -> str:
        """The digest of a manifest, by tag or digest."""

    async def get_referrers(self, digest: str) -> list[bytes]:
        """The indexes of what refers to a manifest; a RegistryError where such lists are not kept."""

    async def list_tags(self) -> list[str]:
        """All tags of the repository."""
