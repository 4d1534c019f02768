"""The lock: what it keeps, and what it refuses to read."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication.lock import (
    Lock,
    LockedChart,
    LockedHelm,
    LockedImage,
    LockedRendering,
    LockedWorkload,
    LockError,
)
from dockerimage_replication.oci.reference import Reference

DIGEST = f"sha256:{'a' * 64}"
IMAGE = "private.local/idf-quay.io/app:1"
CHART = "private.local/idf-charts/app:1.0.0_build.1"
NAME = "s3://bucket/dev-lock.json"

LOCK = Lock(
    inputs="sha256:inputs",
    images={IMAGE: LockedImage("quay.io/app:1", "proxy.local/app:1", DIGEST, ("sha256-aaa.sig", DIGEST))},
    charts={
        CHART: LockedChart("app", "1.0.0+build.1", "https://example.com/charts", DIGEST),
        "private.local/idf-team/tool:2": LockedChart(
            "tool", "2", "oci://x.io/team", DIGEST, "x.io/team/tool:2"
        ),
    },
    inventory={"charts": {"app": {"values": {}}}},
    helm=LockedHelm("v3.17.3", "https://example.com/helm.tar.gz", "b" * 64),
    rendering=LockedRendering(
        "1.33", ("proxy.local",), {"app": LockedWorkload(CHART, {"size": 3}, {"quay.io/x": "why"})}
    ),
)


def changed(**parts: Any) -> bytes:  # noqa: ANN401 - any JSON
    """The lock as bytes, with other top-level parts."""
    return json.dumps({**json.loads(LOCK.serialise()), **parts}).encode()


def rendering(workload: object) -> dict[str, Any]:
    """The part of a lock that says how charts are rendered, with this workload."""
    return {"rendering": {"eks_version": "1.33", "hosts": [], "workloads": {"app": workload}}}


def test_a_lock_of_an_older_release_says_nothing_about_rendering() -> None:
    value = json.loads(LOCK.serialise())
    del value["rendering"]

    assert Lock.parse(json.dumps(value).encode(), NAME).rendering is None


def test_what_is_written_is_read_again() -> None:
    assert Lock.parse(LOCK.serialise(), NAME) == LOCK


def test_the_same_lock_has_the_same_bytes() -> None:
    other = replace(LOCK, charts=dict(reversed(LOCK.charts.items())))

    assert other.serialise() == LOCK.serialise()


def test_digests_are_those_of_images_and_charts() -> None:
    assert LOCK.digests == dict.fromkeys([IMAGE, *LOCK.charts], DIGEST)


def test_what_is_attached_is_known_by_the_image_that_it_belongs_to() -> None:
    assert LOCK.attached == {IMAGE: ("sha256-aaa.sig", DIGEST), **dict.fromkeys(LOCK.charts, ())}


def test_an_image_is_fetched_again_by_digest_from_the_same_place() -> None:
    assert LOCK.images[IMAGE].pinned == Reference("proxy.local", "app", "1", DIGEST)


def test_a_lock_of_a_newer_version_names_both_versions() -> None:
    with pytest.raises(LockError, match=r"s3://bucket/dev-lock\.json is a lock of version 2, .*version 1: "):
        Lock.parse(changed(version=2), NAME)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{", b"{}", b"null", b'{"version": "1"}', b"[" * 100_000]
)
def test_what_is_no_lock_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(LockError, match=r"^s3://bucket/dev-lock\.json is not a lock: "):
        Lock.parse(content, NAME)


@pytest.mark.parametrize(
    ("parts", "damage"),
    [
        ({"inputs": None}, "`inputs` of the lock is no text"),
        ({"images": []}, "`images` is no object"),
        ({"charts": None}, "`charts` is no object"),
        ({"inventory": "x"}, "`inventory` is no object"),
        ({"helm": []}, "`helm` is no object"),
        ({"helm": {"version": "v3.17.3", "url": "https://x"}}, "`sha256` of helm is no text"),
        ({"images": {IMAGE: []}}, f"`images.{IMAGE}` is no object"),
        ({"images": {"UPPER//x": {}}}, "is not an image reference"),
        ({"images": {IMAGE: {}}}, f"`source` of images.{IMAGE} is no text"),
        ({"images": {IMAGE: {"source": "x", "address": "!", "digest": DIGEST}}}, "is not an image reference"),
        ({"images": {IMAGE: {"source": "x", "address": "x", "digest": "sha256:a"}}}, "`digest` of images."),
        (
            {"images": {IMAGE: {"source": "x", "address": "x", "digest": DIGEST, "attached": [1]}}},
            "`attached` of images.",
        ),
        (
            {"images": {IMAGE: {"source": "x", "address": "x", "digest": DIGEST, "attached": ["a/b"]}}},
            "`attached` of images.",
        ),
        (
            {"charts": {CHART: {"name": "a", "version": "1", "repository": "http://[x", "digest": DIGEST}}},
            f"`repository` of charts.{CHART} is no URL of a chart repository",
        ),
        ({"charts": {CHART: {"name": "app"}}}, f"`version` of charts.{CHART} is no text"),
        ({"rendering": {"workloads": []}}, "`rendering` is no object with `workloads`"),
        ({"rendering": {"workloads": {}, "hosts": [1]}}, "`hosts` of rendering is no list of texts"),
        ({"rendering": {"workloads": {}, "hosts": []}}, "`eks_version` of rendering is no text"),
        (rendering("x"), "`rendering.workloads.app` is no object"),
        (rendering({"chart": "x/y:1"}), "`chart` of rendering.workloads.app is not among the charts"),
        (rendering({"chart": CHART, "render_values": []}), "`render_values` of rendering.workloads.app"),
        (
            rendering({"chart": CHART, "render_values": {}, "accepted_images": {"x": 1}}),
            "`accepted_images` of rendering.workloads.app is no object of texts",
        ),
    ],
)
def test_a_damaged_lock_says_what_is_wrong_with_it(parts: dict[str, Any], damage: str) -> None:
    with pytest.raises(LockError) as error:
        Lock.parse(changed(**parts), NAME)

    assert str(error.value).startswith(f"{NAME} is a damaged lock (")
    assert damage in str(error.value)


def test_reading_a_lock_loads_neither_aws_nor_http_libraries() -> None:
    script = (
        "import sys, dockerimage_replication.lock; "
        "print([name for name in ('boto3', 'botocore', 'pydantic', 'aiohttp') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
