"""Which hosts are registries, and which images are known: what tells a reference from any other text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..oci.reference import InvalidReference, Reference

# Registries that public charts take images from.
_PUBLIC = frozenset(
    {
        "cgr.dev",
        "container-registry.oracle.com",
        "cr.fluentbit.io",
        "cr.l5d.io",
        "docker.elastic.co",
        "docker.io",
        "docker.n8n.io",
        "gcr.io",
        "ghcr.io",
        "icr.io",
        "index.docker.io",
        "lscr.io",
        "mcr.microsoft.com",
        "nvcr.io",
        "oci.external-secrets.io",
        "public.ecr.aws",
        "quay.io",
        "registry-1.docker.io",
        "registry.access.redhat.com",
        "registry.connect.redhat.com",
        "registry.gitlab.com",
        "registry.hub.docker.com",
        "registry.k8s.io",
        "registry.opensuse.org",
        "registry.redhat.io",
        "registry.suse.com",
        "xpkg.upbound.io",
    }
)
_FAMILIES = re.compile(
    r"[a-z0-9-]+\.(?:gcr\.io|icr\.io|pkg\.dev|azurecr\.io|jfrog\.io)"
    r"|[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
)


@dataclass(frozen=True)
class Known:
    """What is known to be a registry or an image.

    Attributes:
        hosts: registries beside the public ones.
        names: (registry, repository) of images.
        images: images with their tags.
    """

    hosts: frozenset[str] = frozenset()
    names: frozenset[tuple[str, str]] = frozenset()
    images: frozenset[Reference] = frozenset()

    @classmethod
    def of(cls, sources: Iterable[str], hosts: Iterable[str]) -> "Known":
        """What the references of a run's images and further hosts say."""
        images = frozenset(reference for reference in map(parsed, sources) if reference)
        names = frozenset((image.registry, image.repository) for image in images)
        registries = frozenset(image.registry for image in images)
        return cls(registries.union(hosts), names, images)

    def is_registry(self, host: str) -> bool:
        """Whether a host, with its port if it has one, is a registry."""
        plain = host.partition(":")[0]
        return host in self.hosts or plain in _PUBLIC or _FAMILIES.fullmatch(plain) is not None


def parsed(text: str) -> Reference | None:
    """The reference that a text is; None when it is none."""
    try:
        return Reference.parse(text)
    except InvalidReference:
        return None


def has_version(text: str) -> bool:
    """Whether a reference has a tag or a digest."""
    return "@" in text or ":" in text.rpartition("/")[2]
