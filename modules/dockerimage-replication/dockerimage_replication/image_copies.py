"""Images brought into place one by one, with as little asking as a lock allows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .lock import LockedImage
from .oci.copy import Copier
from .oci.errors import NotFound, RegistryError
from .oci.reference import Reference
from .oci.registry import Repository
from .oci.transport import Transport
from .progress import Progress
from .transfers import readable_size


@dataclass(frozen=True)
class WantedImage:
    """An image that has to be in place.

    Attributes:
        source: its reference as the user wrote it.
        address: where it is fetched from.
        private: where it has to be.
    """

    source: str
    address: Reference
    private: str


class ImageCopies:
    """Brings images into place.

    Args:
        transport: how registries are reached.
        copier: copies what is not there.
        progress: told what is copied.
        locked: images of the lock by private reference: these are compared with the destination alone,
            and are not followed when the tag moves at the source.
        refresh: look for what is attached also to images that are in place.
    """

    def __init__(
        self,
        transport: Transport,
        copier: Copier,
        progress: Progress,
        locked: Mapping[str, LockedImage],
        *,
        refresh: bool = False,
    ) -> None:
        self._transport = transport
        self._copier = copier
        self._progress = progress
        self._locked = locked
        self._refresh = refresh

    async def bring(self, image: WantedImage) -> LockedImage:
        """Have an image in place; what the lock has to say of it.

        Raises:
            RegistryError: it cannot be copied.
            UserError: credentials for it cannot be had.
        """
        locked = self._locked.get(image.private)
        if locked is None or locked.address != str(image.address):
            return await self._copy(image, image.address)
        if await self._is_in_place(image.private, locked.digest):
            return replace(locked, source=image.source)
        try:
            return await self._copy(image, locked.pinned)
        except NotFound:
            self._progress.say(
                f"{image.address} has lost {locked.digest}, which the lock names: asking for its tag again"
            )
            return await self._copy(image, image.address)

    async def _is_in_place(self, private: str, digest: str) -> bool:
        """One request; a destination that does not say will say to the copy what is wrong."""
        reference = Reference.parse(private)
        name = reference.tag or reference.identifier  # a digest may be there that has lost its tag
        try:
            return await Repository(self._transport, reference).head_manifest(name) == digest
        except RegistryError:
            return False

    async def _copy(self, image: WantedImage, origin: Reference) -> LockedImage:
        private = Reference.parse(image.private)
        result = await self._copier.copy_image(origin, private, refresh=self._refresh)
        copied = f"{readable_size(result.bytes_transferred)} copied"
        self._progress.say(f"{image.source} -> {image.private} ({copied}, {result.digest})")
        if result.refused:
            self._progress.say(
                f"WARNING: {image.private}: the registry refuses what is attached to {image.source} "
                f"({', '.join(result.refused)})"
            )
        locked = self._locked.get(image.private)
        known = locked.attached if locked and locked.digest == result.digest else ()
        return LockedImage(image.source, str(image.address), result.digest, result.attached or known)
