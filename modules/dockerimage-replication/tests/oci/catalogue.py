"""A small catalogue for campaigns, and a look at what arrived that uses none of the code under test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .support import Client, digest
from .test_copy import noise

MIB = 1024 * 1024


@dataclass(frozen=True)
class Catalogue:
    """Images for two architectures that share layers; one has a blob of many chunks.

    Attributes:
        repositories: their names; each has the tag `1`.
        sizes: bytes of each blob, by its digest.
    """

    repositories: tuple[str, ...]
    sizes: Mapping[str, int]

    @classmethod
    async def push(cls, source: Client, prefix: str, *, large: int = 20 * MIB) -> "Catalogue":
        """Put it into a registry; `large` is the size of the large blob in bytes."""
        base = noise(f"{prefix} base", 2 * MIB)
        sizes: dict[str, int] = {}
        names = tuple(f"{prefix}/image-{number}" for number in range(4))
        for name in names:
            layers = [
                [base, noise(f"{name} {architecture}", MIB // 2)] for architecture in ("amd64", "arm64")
            ]
            if name == names[-1]:
                layers[0].append(noise(f"{name} large", large))
            index = await source.put_index(name, "1", layers)
            for child in json.loads(index)["manifests"]:
                manifest = json.loads(await source.get_manifest(name, child["digest"]) or b"")
                sizes |= {blob["digest"]: blob["size"] for blob in [manifest["config"], *manifest["layers"]]}
        return cls(names, sizes)

    async def problems(self, source: Client, destination: Client, prefix: str) -> list[str]:
        """What is missing or different at the destination, whose repositories begin with `prefix`."""
        found: list[str] = []
        for name in self.repositories:
            found += await _problems(source, destination, name, f"{prefix}{name}", "1")
        return found


async def _problems(source: Client, destination: Client, name: str, copy: str, reference: str) -> list[str]:
    wanted = await source.get_manifest(name, reference)
    assert wanted is not None
    if await destination.get_manifest(copy, reference) != wanted:
        return [f"{copy}:{reference} is another manifest or missing"]
    found: list[str] = []
    value = json.loads(wanted)
    for child in value.get("manifests", []):
        found += await _problems(source, destination, name, copy, child["digest"])
    for blob in [value["config"], *value["layers"]] if "config" in value else []:
        content = await destination.get_blob(copy, blob["digest"])
        if content is None or digest(content) != blob["digest"]:
            found.append(f"{copy}@{blob['digest']} is other content or missing")
    return found
