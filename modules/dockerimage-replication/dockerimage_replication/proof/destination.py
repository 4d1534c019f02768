"""Whether what a chart names is in the private registry, or is accepted where it is."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..oci.reference import Reference
from ..resolve import Resolution
from .references import Named, Names
from .registries import has_version, parsed


class Destination:
    """What a run puts into the private registry.

    Args:
        resolution: everything that it replicates.
        host: the private registry.
    """

    def __init__(self, resolution: Resolution, host: str) -> None:
        self._host = host
        self._images = {Reference.parse(image.private) for image in resolution.images}
        self._names = {f"{host}/{repository}" for repository in resolution.repositories}

    def problem(self, named: Named) -> str | None:
        """Why a cluster without internet access could not pull it; None when it can."""
        if named.names is Names.NOTHING:
            return "is not an image reference"
        if named.names is Names.REGISTRY:
            return None if self._is_folder(named.text) else "is outside the private registry"
        reference = parsed(named.text)
        if reference is None or reference.registry != self._host:
            return "is outside the private registry"
        name = f"{reference.registry}/{reference.repository}"
        if named.names is Names.REPOSITORY:
            return None if self._is_folder(name) else "is not among what this run puts there"
        if reference in self._images:
            return None
        if reference.tag and reference.digest and replace(reference, digest=None) in self._images:
            return "pins a digest that the data files do not name: `remove` it"
        return "is not among the images that this run puts there"

    def _is_folder(self, text: str) -> bool:
        """Whether it is the name of a repository, or what several begin with."""
        return any(name == text or name.startswith(f"{text}/") for name in self._names)


def accepted_as(named: Named, accepted: Mapping[str, str]) -> str | None:
    """The entry of `accepted_images` that it matches: the same reference, or its name without a tag."""
    reference = parsed(named.text)
    return next((entry for entry in _exact_first(accepted) if _matches(entry, named.text, reference)), None)


def _exact_first(entries: Iterable[str]) -> list[str]:
    return sorted(entries, key=has_version, reverse=True)


def _matches(entry: str, text: str, reference: Reference | None) -> bool:
    if entry == text:
        return True
    wanted = parsed(entry)
    if wanted is None or reference is None:
        return False
    if has_version(entry):
        return wanted == reference
    return (wanted.registry, wanted.repository) == (reference.registry, reference.repository)
