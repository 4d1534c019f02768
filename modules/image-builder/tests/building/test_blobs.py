"""Bases that are too large to be looked into: nothing of them is fetched."""

from pathlib import Path

import pytest
from image_builder.building.bases import Base
from image_builder.building.blobs import BlobCache
from image_builder.building.errors import LimitExceededError
from image_builder.locks import Uses
from image_builder.oci.manifests import Descriptor
from image_builder.oci.reference import Reference
from image_builder.oci.transport import Transport

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.mark.parametrize(("count", "size", "problem"), [(128, 1, "128 layers"), (3, 400, "1200 bytes")])
async def test_a_base_has_no_more_layers_and_bytes_than_it_may(
    count: int, size: int, problem: str, tmp_path: Path
) -> None:
    layers = tuple(Descriptor(_LAYER, f"sha256:{number:064}", size) for number in range(count))
    base = Base(Reference.parse("registry/large:1"), {}, layers)
    cache = BlobCache(tmp_path, 1000)

    async with Transport() as transport:
        with Uses() as uses, pytest.raises(LimitExceededError, match=problem):
            await cache.layers(transport, base, uses)
    assert cache.fetched == 0
