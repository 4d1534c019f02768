"""Manifests are read without trust."""

import hashlib
import json

import pytest
from dockerimage_replication.oci.errors import DigestMismatch, InvalidManifest
from dockerimage_replication.oci.manifests import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    HELM_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    SIZE_LIMIT,
    Manifest,
    parse_manifest,
)

from .support import LAYER, digest, image_manifest, index_manifest

IMAGE = image_manifest(b"config", [b"one", b"two"])
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def parse(raw: bytes, content_type: str = "", expected: str | None = None) -> Manifest:
    return parse_manifest(raw, content_type=content_type, subject="r.test/a:1", expected_digest=expected)


def altered(raw: bytes, **changes: object) -> bytes:
    value = {**json.loads(raw), **changes}
    return json.dumps({key: entry for key, entry in value.items() if entry is not ...}).encode()


def test_an_image_names_its_config_and_layers_once_each() -> None:
    manifest = parse(image_manifest(b"config", [b"one", b"two", b"one"]), f"{OCI_MANIFEST}; charset=utf-8")
    assert manifest.children == ()
    assert [blob.digest for blob in manifest.blobs] == [digest(b"config"), digest(b"one"), digest(b"two")]
    assert [blob.size for blob in manifest.blobs] == [6, 3, 3]


def test_an_index_names_its_children() -> None:
    manifest = parse(index_manifest([IMAGE]))
    assert (manifest.media_type, manifest.blobs) == (OCI_INDEX, ())
    assert [child.digest for child in manifest.children] == [digest(IMAGE)]


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_the_content_type_stands_in_for_a_missing_media_type_and_the_other_way_round(media_type: str) -> None:
    raw = altered(IMAGE, mediaType=...)
    assert parse(raw, media_type).media_type == media_type
    assert parse(altered(IMAGE, mediaType=media_type), "application/json").media_type == media_type


def test_a_helm_chart_is_an_image_with_another_config() -> None:
    config = {"mediaType": HELM_CONFIG, "digest": digest(b"{}"), "size": 2}
    assert parse(altered(IMAGE, config=config)).blobs[0].media_type == HELM_CONFIG


def test_layers_that_must_not_be_distributed_are_left_out() -> None:
    foreign = {"mediaType": FOREIGN, "digest": digest(b"f"), "size": 1, "urls": ["https://example.com/f"]}
    layers = [foreign, {"mediaType": LAYER, "digest": digest(b"l"), "size": 1}]
    assert [blob.digest for blob in parse(altered(IMAGE, layers=layers)).blobs[1:]] == [digest(b"l")]


def test_the_digest_is_that_of_the_raw_bytes_by_the_algorithm_expected() -> None:
    assert parse(IMAGE).digest == digest(IMAGE)
    sha512 = f"sha512:{hashlib.sha512(IMAGE).hexdigest()}"
    assert parse(IMAGE, expected=sha512).digest == sha512
    with pytest.raises(DigestMismatch, match=r"r\.test/a:1"):
        parse(IMAGE, expected=digest(b"other"))


LAYER_OF = {"mediaType": LAYER, "digest": digest(b"l"), "size": 1}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"{", "it is not JSON"),
        (b"\xff\xfe{\x00}\x00", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"schemaVersion": 2, "x": ' + b"9" * 5000 + b"}", "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b" " * (SIZE_LIMIT + 1), "larger than"),
        (altered(IMAGE, schemaVersion=1), "schema 1"),
        (
            altered(IMAGE, mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "schema 1",
        ),
        (altered(IMAGE, schemaVersion="2"), "schemaVersion is not 2"),
        (altered(IMAGE, mediaType=7), "mediaType is not a text"),
        (altered(IMAGE, mediaType="text/html"), "media type 'text/html' is unknown"),
        (altered(IMAGE, mediaType=...), "media type '' is unknown"),
        (altered(IMAGE, manifests=[]), "an index and an image at once"),
        (altered(index_manifest([IMAGE]), layers=[]), "an index and an image at once"),
        (altered(IMAGE, config=...), "'config' is not an object"),
        (altered(IMAGE, layers={}), "'layers' is not a list"),
        (altered(IMAGE, layers=["x"]), "'layers' is not an object"),
        (altered(IMAGE, layers=[{**LAYER_OF, "size": -1}]), "not a number of bytes"),
        (altered(IMAGE, layers=[{**LAYER_OF, "size": True}]), "not a number of bytes"),
        (altered(IMAGE, layers=[{**LAYER_OF, "size": 1.5}]), "not a number of bytes"),
        (altered(IMAGE, layers=[{**LAYER_OF, "size": 2**63}]), "not a number of bytes"),
        (altered(IMAGE, layers=[{**LAYER_OF, "digest": "sha256:../../x"}]), "no valid digest"),
        (altered(IMAGE, layers=[{**LAYER_OF, "digest": "md5:" + "0" * 32}]), "no valid digest"),
        (altered(IMAGE, layers=[{**LAYER_OF, "mediaType": ""}]), "no mediaType"),
        (altered(IMAGE, layers=[LAYER_OF, {**LAYER_OF, "size": 2}]), "has two sizes"),
        (altered(index_manifest([IMAGE]), manifests=[LAYER_OF]), "of a child is unknown"),
        (
            altered(
                index_manifest([IMAGE]),
                manifests=[{"mediaType": OCI_MANIFEST, "digest": digest(b"l"), "size": SIZE_LIMIT + 1}],
            ),
            "a child is larger than",
        ),
    ],
)
def test_a_hostile_manifest_is_refused_by_name(raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidManifest, match=problem) as refused:
        parse(raw)
    assert str(refused.value).startswith("r.test/a:1: ")
    assert len(str(refused.value)) < 300


def test_a_manifest_sent_as_another_type_than_it_says_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="calls itself"):
        parse(IMAGE, DOCKER_INDEX)
