"""Pushing an OCI layout into a registry; what is there already is not sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from .errors import InternetError
from .oci import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Layout, split_reference

Progress = Callable[[str], None]
_CHUNK = 1 << 20


@dataclass
class Pushed:
    """What one publishing sent, as names for a report."""

    tags: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)


async def publish(layout: Layout, registry: str, progress: Progress) -> Pushed:
    """Push everything that a layout has a reference for; `registry` is the base URL."""
    pushed = Pushed()
    try:
        async with aiohttp.ClientSession(registry, timeout=aiohttp.ClientTimeout(total=300)) as session:
            publisher = _Publisher(layout, session, pushed)
            references = layout.references
            is_there = await asyncio.gather(*(publisher.has(*item) for item in references.items()))
            for (reference, descriptor), there in zip(references.items(), is_there, strict=True):
                if not there:
                    progress(f"publishing {reference}")
                    await publisher.push(reference, descriptor)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise InternetError(f"the registry at {registry} did not take the content: {error!r}") from error
    return pushed


class _Publisher:
    def __init__(self, layout: Layout, session: aiohttp.ClientSession, pushed: Pushed) -> None:
        self._layout = layout
        self._session = session
        self._pushed = pushed

    async def has(self, reference: str, descriptor: Descriptor) -> bool:
        """Tell whether the registry has this tag with this very digest."""
        repository, tag = split_reference(reference)
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        async with self._session.head(f"/v2/{repository}/manifests/{tag}", headers=headers) as response:
            return response.headers.get("Docker-Content-Digest") == descriptor.digest

    async def push(self, reference: str, descriptor: Descriptor) -> None:
        """Push an image with all it consists of, and its tag last."""
        repository, tag = split_reference(reference)
        await self._push_manifest(repository, tag, descriptor)
        self._pushed.tags.append(reference)

    async def _push_manifest(self, repository: str, name: str, descriptor: Descriptor) -> None:
        document = self._layout.read(descriptor.digest)
        if descriptor.media_type in INDEX_TYPES:
            for child in map(Descriptor.parse, document["manifests"]):
                await self._push_manifest(repository, child.digest, child)
        else:
            blobs = [Descriptor.parse(entry) for entry in (document["config"], *document["layers"])]
            await asyncio.gather(*(self._push_blob(repository, blob) for blob in blobs))
        content = self._layout.blob(descriptor.digest).read_bytes()
        url = f"/v2/{repository}/manifests/{name}"
        async with self._session.put(
            url, data=content, headers={"Content-Type": descriptor.media_type}
        ) as response:
            await _expect(response, 201, f"{repository}:{name}")
        self._pushed.manifests.append(f"{repository}@{descriptor.digest}")

    async def _push_blob(self, repository: str, blob: Descriptor) -> None:
        async with self._session.head(f"/v2/{repository}/blobs/{blob.digest}") as response:
            if response.status == 200:
                return
        async with self._session.post(f"/v2/{repository}/blobs/uploads/") as response:
            await _expect(response, 202, f"{repository}@{blob.digest}")
            location = response.headers["Location"]
        target = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        content = _chunks(self._layout.blob(blob.digest))
        async with self._session.put(target, data=content, headers=headers) as response:
            await _expect(response, 201, f"{repository}@{blob.digest}")
        self._pushed.blobs.append(f"{repository}@{blob.digest}")


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, _CHUNK):
            yield chunk


async def _expect(response: aiohttp.ClientResponse, status: int, what: str) -> None:
    if response.status != status:
        text = (await response.text())[:300]
        raise InternetError(f"the registry refused {what}: HTTP {response.status} {text}")
