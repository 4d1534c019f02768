"""Where an image is really fetched from, when its public registry is reached through another host.

Mappings change the source address and nothing else: names in the private registry and in the
inventory stay those of the image as it is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .oci.reference import Reference

DEFAULT = "default"


@dataclass(frozen=True)
class DockerMappings:
    """`docker_mappings` of a version file: registry host -> replacement prefix (`host[/path]`)."""

    prefixes: Mapping[str, str] = field(default_factory=dict)

    def image(self, reference: Reference) -> Reference:
        """The address of an image; `default` applies to registries without a mapping of their own."""
        return _prefixed(reference, self.prefixes.get(reference.registry) or self.prefixes.get(DEFAULT))

    def chart(self, reference: Reference) -> Reference:
        """The address of a chart in an `oci://` repository; `default` is for images and does not apply."""
        return _prefixed(reference, self.prefixes.get(reference.registry))

    @property
    def target_hosts(self) -> frozenset[str]:
        """The hosts that images are fetched from instead."""
        return frozenset(prefix.partition("/")[0] for prefix in self.prefixes.values())

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that are mapped, and those that images are fetched from instead."""
        return self.target_hosts | (self.prefixes.keys() - {DEFAULT})


def _prefixed(reference: Reference, prefix: str | None) -> Reference:
    if prefix is None:
        return reference
    # The first segment is a host here even without a dot: a prefix never means Docker Hub.
    host, slash, path = prefix.partition("/")
    return replace(reference, registry=host, repository=f"{path}{slash}{reference.repository}")
