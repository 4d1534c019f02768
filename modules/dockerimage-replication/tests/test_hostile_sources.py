"""Whole runs against sources that mean harm: they fail by name, and what is sound arrives all the same."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerimage_replication import apply
from dockerimage_replication.charts import archive
from dockerimage_replication.shared import ecr, edge
from registry_doubles.exchange import Body, Forward, Reply, Request, Rule, body_of, parse_path
from registry_doubles.proxy import Proxy
from replication_support import INDEX, KEY, MANIFEST, World, chart_files, packed

MIB = 1024 * 1024
CONFIG = b'{"architecture": "amd64", "os": "linux"}'
LAYER = b"layer"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes, media_type: str, **changes: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **changes}


def image(config: dict[str, object], layers: list[dict[str, object]]) -> bytes:
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return json.dumps(value).encode()


def index(children: list[dict[str, object]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()


SOUND_CONFIG = described(CONFIG, CONFIG_TYPE)
SOUND_LAYER = described(LAYER, LAYER_TYPE)
SELF = "sha256:" + "5e1f" * 16

MANIFESTS = {
    "size-too-small": image(described(CONFIG, CONFIG_TYPE, size=3), [SOUND_LAYER]),
    "size-too-large": image(SOUND_CONFIG, [described(LAYER, LAYER_TYPE, size=10**12)]),
    "no-config": image(described(b"nowhere", CONFIG_TYPE), [SOUND_LAYER]),
    "config-left-out": json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}).encode(),
    "itself": index([{"mediaType": INDEX, "digest": SELF, "size": 100}]),
    "layers-10000": image(SOUND_CONFIG, [described(b"%d" % n, LAYER_TYPE) for n in range(10_000)]),
    "deep": b'{"a":' * 100_000,
    "not-json": b"<html>login</html>",
    "digest-with-a-path": image(SOUND_CONFIG, [described(LAYER, LAYER_TYPE, digest="sha256:../../x")]),
    "huge": b"",  # is made while it is sent
}


def serves_hostile_manifests() -> Rule:
    """A registry of its own: the repository's name says which manifest it has."""

    async def rule(request: Request, forward: Forward) -> Reply:
        place = parse_path(request.path)
        if place is None:
            return Reply.of(200)
        if place.kind == "blobs":
            content = {digest_of(blob): blob for blob in (CONFIG, LAYER)}.get(place.name)
            return Reply.of(404) if content is None else Reply.of(200, body=content)
        kind = place.repository.removeprefix("team/")
        headers = {"Content-Type": INDEX if kind == "itself" else MANIFEST}
        if kind == "itself":
            headers["Docker-Content-Digest"] = SELF
        if kind != "huge":
            return Reply.of(200, headers, MANIFESTS[kind])
        reply = Reply.of(200, {**headers, "Content-Length": str(100 * MIB)})
        return reply.with_body(body_of() if request.method == "HEAD" else _hundred_megabytes())

    return rule


async def _hundred_megabytes() -> Body:
    for _ in range(100):
        yield b" " * MIB


@pytest.fixture
def hostile(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy(world.source.address, [serves_hostile_manifests()]) as proxy:
        add_endpoint(monkeypatch, "hostile.local", proxy.address)
        yield proxy


def add_endpoint(monkeypatch: pytest.MonkeyPatch, host: str, address: str) -> None:
    name = "SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS"
    value = json.loads(os.environ[name])
    monkeypatch.setenv(name, json.dumps({**value, host: f"http://{address}"}))


def test_every_hostile_image_is_named_and_the_others_arrive(
    world: World, hostile: Proxy, capfd: pytest.CaptureFixture[str]
) -> None:
    world.default["additional_images"] |= {kind: f"hostile.local/team/{kind}:1" for kind in MANIFESTS}
    world.write_data()

    assert edge.run(apply.apply) == 1

    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("  - ")]
    assert {line.split(": ")[0] for line in errors} == {
        f"  - hostile.local/team/{kind}:1" for kind in MANIFESTS
    }
    assert all(len(line) < 1000 and "Traceback" not in line for line in errors)
    assert world.destination.digest("idf-internet.local/team/app", "v2.0") == world.app
    assert world.destination.digest("idf-internet.local/team/agent", "1") == world.agent
    for kind in MANIFESTS:
        assert world.destination.digest(f"idf-hostile.local/team/{kind}", "1") is None
    assert KEY not in world.objects()
    for result in ("replication_result.json", "module-outputs.json"):
        assert not Path(result).exists()


def test_a_manifest_of_100_mb_is_not_even_read(world: World, hostile: Proxy) -> None:
    world.default["additional_images"] = {"huge": "hostile.local/team/huge:1"}
    world.write_data()

    assert edge.run(apply.apply) == 1

    (read,) = hostile.recording.seen("GET", "/manifests/")
    assert read.received < 20 * MIB  # the limit is 4 MiB; the rest is in buffers between the two


def link(name: str, target: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = tarfile.SYMTYPE, target
    return made


ARCHIVES = {
    "traversal": lambda: packed({**chart_files("bad"), "../../escaped": b"x"}),
    "absolute": lambda: packed({**chart_files("bad"), "/escaped": b"x"}),
    "link": lambda: packed({**chart_files("bad"), "bad/values.yaml": link("bad/values.yaml", "/etc/passwd")}),
    "bomb": lambda: packed(
        {f"bad/{n}": bytes(archive.MAX_FILE) for n in range(archive.MAX_UNPACKED // archive.MAX_FILE + 1)}
    ),
    "yaml": lambda: packed({**chart_files("bad"), "bad/values.yaml": b"!!python/object/apply:os.getcwd []"}),
    "text": lambda: b"no archive",
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_hostile_chart_ends_the_run_before_anything_is_made(
    world: World, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    world.charts.add("bad", "1.0.0", ARCHIVES[kind]())
    repository = "https://charts.internet.local/charts"
    world.default["charts"]["bad"] = {"name": "bad", "repository": repository, "version": "1.0.0"}
    world.write_data()

    assert edge.run(apply.apply) == 1

    said = capfd.readouterr().err
    assert "charts.bad: chart bad 1.0.0: " in said
    assert "Traceback" not in said
    assert world.aws.s3.list_buckets()["Buckets"] == []
    assert ecr.repository_names(world.aws.ecr) == set()
    assert list(Path().absolute().parent.rglob("escaped")) == []


LAUGHS = b"".join(
    b"l%d: &l%d [%s]\n" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 9) if n else b"lol") for n in range(12)
)


DATA_FILES = [
    LAUGHS,
    b"additional_images: {a: !!python/object/apply:os.getcwd []}",
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b"- a list",
    b"additional_images: {a: 'internet.local/../../etc/passwd:1'}",
    b'additional_images: {a: "internet.local/team/agent:1\\nX-Header: 1"}',
    b"additional_images: {a: 'https://internet.local/team/agent:1'}",
    b"charts: {app: {repository: 'https://user:hunter2@charts.internet.local/charts'}}",
    b"charts: {app: {repository: 'file:///etc'}}",
    b"docker_mappings: {internet.local: 'http://elsewhere/%2e%2e'}",
    b"docker_mappings: {internet.local: 'user:hunter2@elsewhere'}",
    b"charts: {app: {repository: 'oci://user:hunter2@internet.local/charts'}}",
    b"charts: {app: {repository: 'user:hunter2@internet.local/charts'}}",
    b"charts: {app: {repository: 'https://user:hunter2@:x/charts'}}",
]


def test_a_hostile_data_file_is_named_before_anything_is_made(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.write_data()
    (file,) = Path().rglob("1.33.yaml")
    for text in DATA_FILES:
        file.write_bytes(text)

        assert edge.run(apply.apply) != 0, text

        said = capfd.readouterr().err
        assert "1.33.yaml" in said, text
        assert "hunter2" not in said, text
        assert "Traceback" not in said, text
        assert len(said) < 2000, text
    assert world.charts.requests == []
    assert world.aws.s3.list_buckets()["Buckets"] == []
