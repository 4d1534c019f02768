"""What is copied: images for two architectures whose layers are shared as those of real images are.

Everything is made from a seed: the same call gives the same bytes, so that runs can be compared.
"""

import hashlib
import io
import json
import random
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURES = ("amd64", "arm64")
TAG = "1.0"

KIB, MIB = 1024, 1024 * 1024
_BLOCK = MIB
# Of each image's four layers: how many images share one, and its size.
_LAYERS = ((18, 512 * KIB), (10, 256 * KIB), (2, 128 * KIB), (1, 64 * KIB))


@dataclass(frozen=True)
class Layer:
    """A layer, made while it is read: a gzipped tar with one file that does not compress.

    Attributes:
        name: seed of its content.
        size: bytes of the file in it.
    """

    name: str
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Its compressed bytes."""
        compressor = zlib.compressobj(level=0, wbits=31)  # 31: with a gzip header, which has no time
        for part in self.tar():
            yield compressor.compress(part)
        yield compressor.flush()

    def tar(self) -> Iterator[bytes]:
        """Its uncompressed bytes."""
        member = tarfile.TarInfo("content")
        member.size = self.size
        yield member.tobuf()
        block = random.Random(self.name).randbytes(min(self.size, _BLOCK))  # noqa: S311 - no secret
        for number in range(-(-self.size // _BLOCK)):
            part = number.to_bytes(8, "big") + block[8:]
            yield part[: self.size - number * _BLOCK]
        yield bytes(-self.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Image:
    """An image in a repository of its own, tagged `TAG`.

    Attributes:
        layers: those of each architecture.
    """

    repository: str
    layers: dict[str, Sequence[Layer]]


@dataclass(frozen=True)
class Described:
    """A blob or manifest that was written: what a manifest says of it."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, object]:
        """As it stands in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def catalogue(count: int) -> list[Image]:
    """Images of four layers that share layers with their neighbours.

    Args:
        count: how many; the first are the same for every count.
    """
    return [
        Image(
            f"team/image-{number:03}",
            {
                architecture: [
                    Layer(f"{architecture} level {level} layer {number // share}", size)
                    for level, (share, size) in enumerate(_LAYERS)
                ]
                for architecture in ARCHITECTURES
            },
        )
        for number in range(count)
    ]


def large_image(repository: str, layers: int, size: int) -> Image:
    """An image for one architecture with layers of `size` bytes, the same ones for every repository."""
    return Image(repository, {"amd64": [Layer(f"large {number}", size) for number in range(layers)]})


def config(architecture: str, image: Image, diff_ids: Sequence[str]) -> bytes:
    """An image's configuration."""
    return _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"image": image.repository}},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
    )


def manifest(config: Described, layers: Sequence[Described]) -> bytes:
    """The manifest of one architecture."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
    )


def index(manifests: Sequence[tuple[str, Described]]) -> bytes:
    """The index over (architecture, manifest)."""
    entries = [
        {**described.as_json(), "platform": {"architecture": architecture, "os": "linux"}}
        for architecture, described in manifests
    ]
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def describe(media_type: str, content: bytes) -> Described:
    """What a manifest says of content that is in memory."""
    return Described(media_type, digest_of(io.BytesIO(content)), len(content))


def digest_of(content: Iterator[bytes] | io.BytesIO) -> str:
    """The digest of content in parts."""
    checksum = hashlib.sha256()
    for part in content:
        checksum.update(part)
    return f"sha256:{checksum.hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
