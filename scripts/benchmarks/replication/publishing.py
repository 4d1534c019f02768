"""Puts images into a registry, and asks a registry what it has, without the code under measurement."""

import hashlib
import http.client
from collections.abc import Iterator
from types import TracebackType

from localcloud.errors import LocalCloudError

from . import catalogue
from .catalogue import CONFIG, INDEX, LAYER, MANIFEST, TAG, Described, Image, Layer


class Publisher:
    """One connection to a registry on loopback; a context manager.

    Args:
        port: where the registry listens.

    Attributes:
        content: every distinct blob and manifest that was published, by digest.
    """

    def __init__(self, port: int) -> None:
        self.content: dict[str, Described] = {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._layers: dict[Layer, tuple[Described, str]] = {}
        self._homes: dict[str, str] = {}  # digest of a blob -> a repository that has it

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def publish(self, image: Image) -> str:
        """Write an image; the digest of its index."""
        manifests = []
        for architecture, layers in image.layers.items():
            written = [self._layer(image.repository, layer) for layer in layers]
            content = catalogue.config(architecture, image, [diff_id for _, diff_id in written])
            described = catalogue.describe(CONFIG, content)
            self._upload(image.repository, iter([content]))
            self.content[described.digest] = described
            raw = catalogue.manifest(described, [layer for layer, _ in written])
            manifests.append((architecture, self._manifest(image.repository, MANIFEST, raw, "")))
        return self._manifest(image.repository, INDEX, catalogue.index(manifests), TAG).digest

    def digest(self, repository: str) -> str | None:
        """The digest of the image that the repository has under `TAG`; None without one."""
        headers = {"Accept": f"{INDEX}, {MANIFEST}"}
        status, found, _ = self._request("HEAD", f"/v2/{repository}/manifests/{TAG}", None, headers)
        return found.get("Docker-Content-Digest") if status == 200 else None

    def _layer(self, repository: str, layer: Layer) -> tuple[Described, str]:
        if layer in self._layers:
            described, diff_id = self._layers[layer]
            self._mount(repository, described.digest)
            return described, diff_id
        digest, size = self._upload(repository, layer.chunks())
        described = Described(LAYER, digest, size)
        self.content[digest] = described
        self._homes[digest] = repository
        self._layers[layer] = described, catalogue.digest_of(layer.tar())
        return self._layers[layer]

    def _mount(self, repository: str, digest: str) -> None:
        path = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={self._homes[digest]}"
        self._expect(201, *self._request("POST", path, b"", {}))

    def _upload(self, repository: str, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Stream a blob; its digest and size."""
        checksum, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                checksum.update(chunk)
                size += len(chunk)
                yield chunk

        begun = self._request("POST", f"/v2/{repository}/blobs/uploads/", b"", {})
        location = self._expect(202, *begun)["Location"]
        headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
        sent = self._request("PATCH", location, filter(None, counted()), headers)
        location = self._expect(202, *sent)["Location"]
        digest = f"sha256:{checksum.hexdigest()}"
        separator = "&" if "?" in location else "?"
        self._expect(201, *self._request("PUT", f"{location}{separator}digest={digest}", b"", {}))
        return digest, size

    def _manifest(self, repository: str, media_type: str, raw: bytes, tag: str) -> Described:
        described = catalogue.describe(media_type, raw)
        path = f"/v2/{repository}/manifests/{tag or described.digest}"
        self._expect(201, *self._request("PUT", path, raw, {"Content-Type": media_type}))
        self.content[described.digest] = described
        return described

    def _request(
        self, method: str, target: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        chunked = "Transfer-Encoding" in headers
        self._connection.request(method, target, body, headers, encode_chunked=chunked)
        with self._connection.getresponse() as answer:
            return answer.status, answer.headers, answer.read()

    def _expect(
        self, wanted: int, status: int, headers: http.client.HTTPMessage, body: bytes
    ) -> http.client.HTTPMessage:
        if status != wanted:
            raise LocalCloudError(f"docker-registry answered {status} in place of {wanted}: {body[:300]!r}")
        return headers
