"""`bundle` and `load` with what is attached to images and charts: the same as `apply` brings."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication.cli import main
from replication_support import ECR_HOST, INDEX, MANIFEST, Client, World

Command = Callable[..., int]

SIGNATURE = ("application/vnd.dev.cosign.simplesigning.v1+json", b"signed")
CONFIG = "application/vnd.oci.image.config.v1+json"
SBOM = "application/spdx+json"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["dockerimage_replication", *map(str, arguments)])
        return main()

    return call


@pytest.fixture(params=["bundle", "bundle.tar"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a bundle is written: a folder, and an archive."""
    return tmp_path / "disk" / str(request.param)


def tag_of(digest: str) -> str:
    """The tag that stands for a digest (OCI distribution-spec, Referrers tag schema)."""
    return digest.replace(":", "-")


def sign(client: Client, repository: str, digest: str) -> str:
    """Attach a signature as cosign does; its tag."""
    tag = f"{tag_of(digest)}.sig"
    client.push_artifact(repository, tag, (CONFIG, digest.encode()), [SIGNATURE])
    return tag


def refer(client: Client, repository: str, subject: str, contents: list[bytes]) -> list[str]:
    """Attach referrers as clients of a registry without their API do; their digests."""
    entries = []
    for content in contents:
        client.push_artifact(repository, "blobs", (SBOM, content), [(SBOM, content)])
        manifest = client.manifest(repository, "blobs")
        target = {"mediaType": MANIFEST, "digest": subject, "size": 1}
        raw = json.dumps({**manifest, "artifactType": SBOM, "subject": target}).encode()
        digest = client.put_manifest(repository, f"sha256:{hashlib.sha256(raw).hexdigest()}", raw, MANIFEST)
        entries.append({"mediaType": MANIFEST, "digest": digest, "size": len(raw), "artifactType": SBOM})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    client.put_manifest(repository, tag_of(subject), index, INDEX)
    return [str(entry["digest"]) for entry in entries]


class Attached:
    """Signatures and referrers at the source: of an index, an image below it, a referrer, and a chart."""

    def __init__(self, world: World) -> None:
        source = world.source
        self.child = source.manifest("team/app", "v2.0")["manifests"][0]["digest"]
        self.referrers = {
            world.app: refer(source, "team/app", world.app, [b"sbom", b"provenance"]),
            self.child: refer(source, "team/app", self.child, [b"sbom of one architecture"]),
        }
        (of_child,) = self.referrers[self.child]
        self.tags = [sign(source, "team/app", digest) for digest in (world.app, self.child, of_child)]
        self.of_chart = sign(source, "team/charts/tool", world.tool)


@pytest.fixture
def attached(world: World) -> Attached:
    world.write_data()
    return Attached(world)


def at_destination(world: World, attached: Attached) -> dict[str, Any]:
    """All that the destination has of what is attached."""
    app, destination = "idf-internet.local/team/app", world.destination
    lists = {
        subject: destination.manifest(app, tag_of(subject))["manifests"] for subject in attached.referrers
    }
    return {
        "tags": {tag: destination.digest(app, tag) for tag in attached.tags},
        "of_chart": destination.digest("idf-charts/tool", attached.of_chart),
        "referrers": {
            subject: {entry["digest"]: (destination.digest(app, entry["digest"]), entry) for entry in entries}
            for subject, entries in lists.items()
        },
        "lock": world.lock().attached,
    }


def test_load_brings_signatures_and_referrers(
    world: World, attached: Attached, command: Command, disk: Path
) -> None:
    assert command("bundle", disk) == 0
    assert command("load", disk) == 0

    found = at_destination(world, attached)

    assert found["tags"] == {tag: world.source.digest("team/app", tag) for tag in attached.tags}
    assert found["of_chart"] == world.source.digest("team/charts/tool", attached.of_chart)
    for subject, digests in attached.referrers.items():
        there = found["referrers"][subject]
        assert {digest: digest for digest in digests} == {key: digest for key, (digest, _) in there.items()}
        assert all(entry["artifactType"] == SBOM for _, entry in there.values())
    of_app = found["lock"][f"{ECR_HOST}/idf-internet.local/team/app:v2.0"]
    assert set(of_app) == {*attached.tags, *(item for items in attached.referrers.values() for item in items)}


def test_load_brings_what_apply_brings(
    world: World, attached: Attached, command: Command, disk: Path, tmp_path: Path
) -> None:
    command("bundle", disk)
    command("load", disk)
    loaded = at_destination(world, attached)
    for folder in (tmp_path / "destination/docker/registry/v2/repositories").iterdir():
        shutil.rmtree(folder)

    world.apply(refresh=True)

    applied = at_destination(world, attached)
    assert {**applied, "lock": {name: set(names) for name, names in applied["lock"].items()}} == {
        **loaded,
        "lock": {name: set(names) for name, names in loaded["lock"].items()},
    }


def test_what_is_attached_later_comes_with_the_next_bundle(
    world: World, attached: Attached, command: Command, disk: Path
) -> None:
    command("bundle", disk)
    command("load", disk)
    tag = sign(world.source, "team/agent", world.agent)

    command("bundle", disk)
    command("load", disk)

    assert world.destination.digest("idf-internet.local/team/agent", tag) == world.source.digest(
        "team/agent", tag
    )


def test_the_same_content_makes_the_same_bytes_in_whatever_order_referrers_are_listed(
    world: World, attached: Attached, command: Command, tmp_path: Path
) -> None:
    command("bundle", tmp_path / "one.tar")
    tag = tag_of(world.app)
    listed = world.source.manifest("team/app", tag)
    turned = {**listed, "manifests": listed["manifests"][::-1]}
    world.source.put_manifest("team/app", tag, json.dumps(turned).encode(), INDEX)

    command("bundle", tmp_path / "two.tar")

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_images_that_share_an_architecture_share_what_is_attached_to_it(
    world: World, attached: Attached, command: Command, disk: Path
) -> None:
    children = world.source.manifest("team/app", "v2.0")
    index = json.dumps({**children, "annotations": {"another": "index"}}).encode()
    world.source.put_manifest("team/app", "v3", index, INDEX)
    world.default["additional_images"]["app"] = "internet.local/team/app:v3"
    world.write_data()

    assert command("bundle", disk) == 0
    assert command("load", disk) == 0

    assert None not in at_destination(world, attached)["tags"].values()


def test_the_json_names_what_is_attached(
    world: World, attached: Attached, command: Command, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    assert command("bundle", disk, "--json") == 0

    report = json.loads(capsys.readouterr().out)
    lists = [tag_of(subject) for subject in attached.referrers]
    assert report["attached"].keys() == {
        *(f"internet.local/team/app:{tag}" for tag in [*attached.tags, *lists]),
        f"internet.local/team/charts/tool:{attached.of_chart}",
    }
    assert "internet.local/team/app:v2.0" in report["images"]
