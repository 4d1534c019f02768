"""An image, a chart or the data files on the way into a bundle, with everything that is attached to it."""

from dataclasses import dataclass, field

from .oci.attached import Attachments, schema_tag
from .oci.coalesce import all_of
from .oci.copy import DEPTH_LIMIT
from .oci.errors import InvalidManifest
from .oci.layout import REF_NAME
from .oci.manifests import Descriptor, Manifest, index_of
from .oci.reference import Reference
from .oci.source import ImageSource, ManifestSource

_MANIFESTS_LIMIT = 64 * 1024 * 1024  # bytes of all manifests of one image together


@dataclass
class BundleItem:
    """What a bundle holds by one name.

    Attributes:
        name: its name in the bundle.
        source: where it is read.
        identifier: its tag or digest there.
        manifests: every manifest that belongs to it, by digest.
        root: digest of its own.
        attached: name in the bundle -> digest of what is attached to it: signatures and the like of cosign
            by their tags, and lists of referrers by theirs.
    """

    name: str
    source: ManifestSource
    identifier: str
    manifests: dict[str, Manifest] = field(default_factory=dict)
    root: str = ""
    attached: dict[str, str] = field(default_factory=dict)

    @property
    def blobs(self) -> set[Descriptor]:
        """The blobs of all manifests."""
        return {blob for manifest in self.manifests.values() for blob in manifest.blobs}

    async def explore(self) -> None:
        """Read the manifest and everything below it that is a manifest.

        Raises:
            RegistryError: something cannot be had, or makes no sense.
        """
        manifest = await self.source.get_manifest(self.identifier)
        self.root = manifest.digest
        await self._explore_below(manifest)

    async def explore_attached(self, source: ImageSource, attachments: Attachments) -> None:
        """Read what is attached to these manifests, and what is attached to that in turn.

        A layout has no list of referrers, and so gets one by a tag, as registries without such lists do.

        Raises:
            RegistryError: something cannot be had, or makes no sense.
        """
        seen: set[str] = set()
        for _ in range(DEPTH_LIMIT):
            subjects = sorted(self.manifests.keys() - seen)
            if not subjects:
                return
            seen.update(subjects)
            found = await attachments.find(source, subjects)
            for tag in found.tags:
                await self._attach(source, tag, await source.get_manifest(tag))
            for subject, entries in found.referrers.items():
                # Registries list in any order, and the same content has to make the same bundle.
                index = index_of(sorted(entries, key=lambda entry: str(entry["digest"])))
                seen.add(index.digest)
                await self._attach(source, schema_tag(subject), index)

    async def _attach(self, source: ImageSource, tag: str, manifest: Manifest) -> None:
        self.attached[str(Reference(source.registry, source.repository, tag))] = manifest.digest
        await self._explore_below(manifest)

    async def _explore_below(self, manifest: Manifest) -> None:
        level = [manifest]
        for _ in range(DEPTH_LIMIT + 1):
            self.manifests.update((manifest.digest, manifest) for manifest in level)
            below = {child for manifest in level for child in manifest.children}
            if not below:
                return
            if sum(child.size for child in below) > _MANIFESTS_LIMIT:
                raise InvalidManifest(f"{self.name}: its manifests have more than {_MANIFESTS_LIMIT} bytes")
            level = []
            await all_of(self._explore_child(child, level) for child in below)
        raise InvalidManifest(f"{self.name}: indexes nest deeper than {DEPTH_LIMIT}")

    async def _explore_child(self, child: Descriptor, level: list[Manifest]) -> None:
        manifest = await self.source.get_manifest(child.digest)
        if len(manifest.raw) != child.size:
            raise InvalidManifest(f"{self.name}: the size of {child.digest} is not what its index says")
        level.append(manifest)

    def entries(self) -> dict[str, dict[str, object]]:
        """Its entries in the index file, by name."""
        names = {**self.attached, self.name: self.root}
        return {name: _entry(name, self.manifests[digest]) for name, digest in names.items()}


def _entry(name: str, manifest: Manifest) -> dict[str, object]:
    descriptor = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.raw)}
    return {**descriptor, "annotations": {REF_NAME: name}}
