"""What is copied in the benchmark of replication."""

import gzip
import hashlib
import io
import tarfile
from itertools import chain

from benchmarks.replication.catalogue import MIB, Layer, catalogue, large_image
from benchmarks.replication.contenders import CRANE_PARALLEL, OURS
from benchmarks.replication.trial import in_turn


def digest(layer: Layer) -> str:
    return hashlib.sha256(b"".join(layer.chunks())).hexdigest()


def test_the_same_call_gives_the_same_bytes_and_every_layer_others() -> None:
    layers = {layer for image in catalogue(3) for layers in image.layers.values() for layer in layers}
    digests = {digest(layer) for layer in layers}
    assert len(digests) == len(layers)
    assert digests == {digest(layer) for layer in layers}


def test_seventy_images_of_four_layers_for_two_architectures_share_layers() -> None:
    images = catalogue(70)
    assert len({image.repository for image in images}) == 70
    assert all(set(image.layers) == {"amd64", "arm64"} for image in images)
    assert all(len(layers) == 4 for image in images for layers in image.layers.values())
    every = [layer for image in images for layer in chain.from_iterable(image.layers.values())]
    assert len(set(every)) < len(every) / 2
    for image in images:
        assert not set(image.layers["amd64"]) & set(image.layers["arm64"])


def test_a_layer_is_a_gzipped_tar_with_one_file_of_the_size_asked_for() -> None:
    layer = Layer("seed", 2 * MIB + 100)
    uncompressed = gzip.decompress(b"".join(layer.chunks()))
    assert uncompressed == b"".join(layer.tar())
    with tarfile.open(fileobj=io.BytesIO(uncompressed)) as archive:
        (member,) = archive.getmembers()
    assert member.size == layer.size


def test_the_large_layers_of_one_image_differ() -> None:
    (layers,) = large_image("large", 4, 1000).layers.values()
    assert len({digest(layer) for layer in layers}) == 4


def test_everybody_comes_first_as_often_as_the_others() -> None:
    names = [OURS, "skopeo", *(f"crane x{parallel}" for parallel in CRANE_PARALLEL)]
    orders = [in_turn(names, number) for number in range(len(names))]
    assert [order[0] for order in orders] == names
    assert all(sorted(order) == sorted(names) for order in orders)
