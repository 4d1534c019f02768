"""One copy by one contender to a registry of its own, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localcloud.errors import LocalCloudError

from .catalogue import Image
from .contenders import Job, target
from .lab import Lab, Registry
from .process import Command, Run
from .publishing import Publisher

Contender = Callable[[Job], Command]


@dataclass(frozen=True)
class Source:
    """A registry with everything that is to be copied.

    Attributes:
        digests: repository -> digest of its image.
        content_bytes: bytes of every distinct blob and manifest.
    """

    registry: Registry
    images: Sequence[Image]
    digests: Mapping[str, str]
    content_bytes: int


def publish(lab: Lab, images: Sequence[Image]) -> Source:
    """A new registry with these images."""
    registry = lab.registry()
    with Publisher(registry.port) as publisher:
        digests = {image.repository: publisher.publish(image) for image in images}
        content_bytes = sum(described.size for described in publisher.content.values())
    return Source(registry, images, digests, content_bytes)


def wrong(source: Source, destination: Registry) -> list[str]:
    """The repositories whose image is not at the destination with its digest.

    The registry itself refuses blobs with another digest, and manifests of which a part is missing.
    """
    with Publisher(destination.port) as publisher:
        return [
            image.repository
            for image in source.images
            if publisher.digest(target(image)) != source.digests[image.repository]
        ]


def checked(
    lab: Lab, command: Command, source: Source, destination: Registry, *, watch_memory: bool = False
) -> Run:
    """Run a command that must copy everything.

    Raises:
        LocalCloudError: it failed, or the destination has not all of it.
    """
    done = lab.processes.run(command, watch_memory=watch_memory)
    missing = wrong(source, destination)
    if done.status != 0 or missing:
        lines = "\n".join(f"    {line}" for line in done.output.splitlines()[-15:])
        raise LocalCloudError(
            f"{command.name} ended with status {done.status}, and {len(missing)} of {len(source.images)} "
            f"images are not at the destination; its last words:\n{lines}"
        )
    return done


def in_turn(names: Sequence[str], round_number: int) -> list[str]:
    """The contenders in the order of this round: everybody comes first as often as the others."""
    first = round_number % len(names)
    return [*names[first:], *names[:first]]
