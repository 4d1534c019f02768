"""`bundle` and `load`: over a disk, the same result as `apply` makes over the network."""

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dockerimage_replication import bundle
from dockerimage_replication.cli import main
from dockerimage_replication.module_outputs import OUTPUTS
from dockerimage_replication.oci import layout_writer
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.shared import ecr
from replication_support import BUCKET, KEY, SECRET, World

Command = Callable[..., int]

COPIES = {
    "idf-internet.local/team/app": "v2.0",
    "idf-internet.local/team/agent": "1",
    "idf-charts/app": "1.0.0_build.1",
    "idf-charts/tool": "0.1.0",
}

LAYERS = (b"appamd64", b"apparm64", b"agentamd64", b"agentarm64")
DIGESTS = {layer: f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in LAYERS}


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "bundle"


@pytest.fixture
def isolate(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Cut the way to the public side."""

    def isolated() -> None:
        endpoints = json.loads(os.environ["SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS"])
        nowhere = {host: url for host, url in endpoints.items() if ".ecr." in host}
        nowhere |= {host: "http://127.0.0.1:1" for host in endpoints if ".ecr." not in host}
        monkeypatch.setenv("SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", json.dumps(nowhere))

    return isolated


@pytest.fixture
def blobs_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of all blobs that are fetched from registries."""
    fetched: list[str] = []
    read_blob = Repository.read_blob

    def noted(self: Repository, blob: Any, *further: Any) -> Any:  # noqa: ANN401 - passed on as they are
        fetched.append(blob.digest)
        return read_blob(self, blob, *further)

    monkeypatch.setattr(Repository, "read_blob", noted)
    return fetched


def state(world: World) -> dict[str, Any]:
    """All that a run leaves in the account and beside the module."""
    files = (
        "replication_result.json",
        "updated_images.json",
        "replication_lock.json",
        "module-outputs.json",
    )
    return {
        "copies": {name: world.destination.digest(name, tag) for name, tag in COPIES.items()},
        "inventory": world.inventory(),
        "usage": world.usage(),
        "objects": world.objects(),
        "repositories": ecr.repository_names(world.aws.ecr),
        "files": {name: json.loads(Path(name).read_text()) for name in files},
    }


def index_of(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((path / "index.json").read_bytes())
    return value


def names(path: Path) -> dict[str, str]:
    entries = index_of(path)["manifests"]
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}


def test_a_loaded_bundle_leaves_what_apply_leaves(
    world: World,
    command: Command,
    disk: Path,
    isolate: Callable[[], None],
    tmp_path: Path,
) -> None:
    world.write_data()
    assert command("bundle", disk) == 0
    isolate()
    shutil.rmtree("data")

    assert command("load", disk) == 0

    loaded = state(world)
    assert loaded["copies"]["idf-internet.local/team/app"] == world.app
    assert loaded["copies"]["idf-internet.local/team/agent"] == world.agent
    assert loaded["copies"]["idf-charts/tool"] == world.tool
    (layer,) = world.destination.manifest("idf-charts/app", "1.0.0_build.1")["layers"]
    assert world.destination.blob("idf-charts/app", layer["digest"]) == world.archive
    assert set(loaded["files"]["module-outputs.json"]) == set(OUTPUTS)


def test_apply_after_load_finds_nothing_to_change(
    world: World,
    command: Command,
    folder: Path,
    blobs_read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.write_data()
    command("bundle", folder)
    command("load", folder)
    loaded = state(world)
    blobs_read.clear()

    monkeypatch.setenv("SEEDFARMER_PARAMETER_REFRESH_TAGS", "true")
    world.apply()

    assert state(world) == loaded
    of_charts = world.source.manifest("team/charts/tool", "0.1.0")["layers"][0]["digest"]
    assert set(blobs_read) <= {of_charts}  # charts are read to find the images


def test_every_architecture_and_every_chart_is_in_the_bundle(
    world: World, command: Command, folder: Path
) -> None:
    world.write_data()
    command("bundle", folder)

    found = names(folder)
    chart = "bundle.local/charts-charts.internet.local/charts/app:1.0.0_build.1"
    assert set(found) == {
        "internet.local/team/app:v2.0",
        "internet.local/team/agent:1",
        "internet.local/team/charts/tool:0.1.0",
        "bundle.local/data-files:1.33",
        chart,
    }
    assert found["internet.local/team/app:v2.0"] == world.app
    assert found["internet.local/team/charts/tool:0.1.0"] == world.tool
    files = {file.name: file.read_bytes() for file in (folder / "blobs/sha256").iterdir()}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in files.items())
    assert {b"appamd64", b"apparm64", b"signed", world.archive} <= set(files.values())


def test_two_bundles_of_the_same_content_are_the_same_bytes(
    world: World, command: Command, tmp_path: Path
) -> None:
    world.write_data()
    for name in ("one.tar", "two.tar", "one", "two"):
        command("bundle", tmp_path / name)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    one, two = (
        {file.relative_to(root): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_a_second_bundle_fetches_no_image_again(
    world: World, command: Command, disk: Path, blobs_read: list[str]
) -> None:
    world.write_data()
    command("bundle", disk)
    first = set(blobs_read)
    before = disk.read_bytes() if disk.is_file() else index_of(disk)
    blobs_read.clear()

    assert command("bundle", disk) == 0

    tool = world.source.manifest("team/charts/tool", "0.1.0")["layers"][0]["digest"]
    assert set(blobs_read) <= {tool}  # to find its images
    assert len(first) > 4
    assert (disk.read_bytes() if disk.is_file() else index_of(disk)) == before


def test_a_broken_bundle_is_gone_on_with(
    world: World,
    command: Command,
    disk: Path,
    blobs_read: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.write_data()
    monkeypatch.setattr(bundle, "_CONCURRENT_BLOBS", 1)
    write = layout_writer._write_all
    written: list[bytes] = []

    def full(descriptor: int, content: bytes, place: int | None = None) -> None:
        if content in LAYERS:
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(content)
        write(descriptor, content, place)

    monkeypatch.setattr(layout_writer, "_write_all", full)
    assert command("bundle", disk) == 1
    assert f"error: cannot write the bundle to {disk}: No space left on device" in capsys.readouterr().err
    assert not (disk / "index.json").exists()
    assert not disk.is_file()
    monkeypatch.setattr(layout_writer, "_write_all", write)
    blobs_read.clear()

    assert command("bundle", disk) == 0

    assert {digest for digest in blobs_read if digest in DIGESTS.values()} == {
        DIGESTS[layer] for layer in LAYERS if layer not in written
    }


def test_a_full_disk_is_an_error_that_says_so(
    world: World,
    command: Command,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.write_data()
    monkeypatch.setattr(layout_writer.FolderWriter, "room", lambda writer: 10)

    assert command("bundle", folder) == 1

    printed = capsys.readouterr().err
    assert re.search(rf"cannot write the bundle to {folder}: .* the disk has room for 10 B", printed)
    assert not (folder / "index.json").exists()


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(
    world: World, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_data()
    (tmp_path / "file").write_text("no folder")

    for out in ("file", "file/bundle", "file/bundle.tar"):
        assert command("bundle", tmp_path / out) == 1
        assert f"error: cannot write the bundle to {tmp_path / out}: " in capsys.readouterr().err


def test_a_layout_of_another_program_is_left_alone(
    world: World, command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_data()
    command("bundle", folder)
    others = {"schemaVersion": 2, "manifests": []}
    (folder / "index.json").write_text(json.dumps(others))

    assert command("bundle", folder) == 1

    assert "is an OCI image layout, and no bundle" in capsys.readouterr().err
    assert index_of(folder) == others


def test_what_cannot_be_had_is_listed_and_nothing_is_written(
    world: World, command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.default["additional_images"] |= {"a": "internet.local/no:2", "gone": "internet.local/gone:1"}
    world.write_data()

    assert command("bundle", folder, "--json") == 1

    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [problem.split(": ")[0] for problem in report["problems"]] == [
        "internet.local/gone:1",
        "internet.local/no:2",
    ]
    assert "FAILED internet.local/no:2" in printed.err
    assert not folder.exists()


def test_a_bundle_needs_no_aws_account(
    world: World, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_data()
    for name in ("AWS_DEFAULT_REGION", "SEEDFARMER_PROJECT_NAME", "SEEDFARMER_DEPLOYMENT_NAME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("boto3.Session", None)

    assert command("bundle", folder) == 0


def test_the_secret_opens_the_chart_repository_and_is_not_in_the_bundle(
    world: World, command: Command, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_data()
    world.charts.password = SECRET
    entry = {"username": "robot", "password": SECRET}
    world.aws.secrets.create_secret(Name="helm", SecretString=json.dumps(entry))
    monkeypatch.setenv("SEEDFARMER_PARAMETER_HELM_REPO_SECRET_NAME", "helm")

    assert command("bundle", disk) == 0

    files = [disk] if disk.is_file() else [file for file in disk.rglob("*") if file.is_file()]
    assert not any(SECRET.encode() in file.read_bytes() for file in files)


def test_the_json_says_what_is_in_the_bundle_and_what_was_loaded(
    world: World, command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_data()

    assert command("bundle", folder, "--json") == 0

    report = json.loads(capsys.readouterr().out)
    index = f"sha256:{hashlib.sha256((folder / 'index.json').read_bytes()).hexdigest()}"
    size = sum(file.stat().st_size for file in (folder / "blobs/sha256").iterdir())
    assert {key: report[key] for key in ("path", "eks_version", "index", "bytes", "problems")} == {
        "path": str(folder),
        "eks_version": "1.33",
        "index": index,
        "bytes": size,
        "problems": [],
    }
    assert report["images"] == names(folder)

    assert command("load", folder, "--json", "--index", index) == 0

    loaded = json.loads(capsys.readouterr().out)
    assert [image["source"] for image in loaded["images"]] == [
        "internet.local/team/agent:1",
        "internet.local/team/app:v2.0",
    ]
    assert loaded["inventory"] == f"{BUCKET}/{KEY}"


def remove_a_layer(folder: Path) -> str:
    layer = folder / "blobs/sha256" / hashlib.sha256(b"agentarm64").hexdigest()
    layer.unlink()
    return layer.name


def change_a_layer(folder: Path) -> str:
    layer = folder / "blobs/sha256" / hashlib.sha256(b"agentarm64").hexdigest()
    layer.write_bytes(b"agentarm65")
    return layer.name


def change_the_data_files(folder: Path) -> str:
    (file,) = (
        file for file in (folder / "blobs/sha256").iterdir() if b"additional_images:" in file.read_bytes()
    )
    file.write_bytes(file.read_bytes().replace(b"agent:1", b"agent:2"))
    return file.name


def remove_an_image(folder: Path) -> str:
    index = index_of(folder)
    agent = "internet.local/team/agent:1"
    index["manifests"] = [entry for entry in index["manifests"] if agent not in entry["annotations"].values()]
    (folder / "index.json").write_text(json.dumps(index))
    return agent


@pytest.mark.parametrize("tamper", [remove_a_layer, change_a_layer, change_the_data_files, remove_an_image])
def test_a_bundle_that_was_changed_is_refused_before_anything_is_made(
    world: World,
    command: Command,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    tamper: Callable[[Path], str],
) -> None:
    world.write_data()
    command("bundle", folder)
    named = tamper(folder)
    capsys.readouterr()

    assert command("load", folder, "--json") == 1

    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert named in problem
    assert world.aws.s3.list_buckets()["Buckets"] == []
    assert ecr.repository_names(world.aws.ecr) == set()
    assert world.destination.digest("idf-internet.local/team/app", "v2.0") is None


def test_another_index_than_the_one_that_was_announced_is_refused(
    world: World, command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_data()
    command("bundle", folder)

    assert command("load", folder, "--index", f"sha256:{'a' * 64}") == 1

    assert f"{folder}: its index file has the digest sha256:" in capsys.readouterr().err
    assert world.aws.s3.list_buckets()["Buckets"] == []


def test_a_bundle_of_another_eks_version_is_wrong_usage(
    world: World,
    command: Command,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.write_data()
    command("bundle", folder)
    monkeypatch.setenv("SEEDFARMER_PARAMETER_EKS_VERSION", "1.32")

    assert command("load", folder) == 2
    assert "the bundle is for EKS 1.33, `eks-version` is 1.32" in capsys.readouterr().err

    monkeypatch.delenv("SEEDFARMER_PARAMETER_EKS_VERSION")
    assert command("load", folder) == 0


def test_what_is_no_bundle_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("text")
    for name in ("absent", "file", "."):
        assert command("load", tmp_path / name) == 1
        assert capsys.readouterr().err.startswith(f"error: {tmp_path / name}")


def test_loading_twice_sends_no_blob_again(
    world: World, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_data()
    command("bundle", folder)
    command("load", folder)
    uploads: list[str] = []
    monkeypatch.setattr(Repository, "begin_upload", lambda self, blob: uploads.append(blob.digest))

    assert command("load", folder) == 0

    assert uploads == []


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (Debian's package of that name)")
def test_skopeo_reads_a_bundle(world: World, command: Command, disk: Path) -> None:
    world.write_data()
    command("bundle", disk)
    transport = "oci" if disk.is_dir() else "oci-archive"

    for name, digest in {"team/app:v2.0": world.app, "team/charts/tool:0.1.0": world.tool}.items():
        subprocess.run(
            [
                *(
                    "skopeo",
                    "--insecure-policy",
                    "copy",
                    "--all",
                    "--preserve-digests",
                    "--dest-tls-verify=false",
                ),
                f"{transport}:{disk}:internet.local/{name}",
                f"docker://{world.destination.address}/skopeo/{name}",
            ],
            check=True,
            capture_output=True,
        )
        repository, _, tag = name.partition(":")
        assert world.destination.digest(f"skopeo/{repository}", tag) == digest


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (Debian's package of that name)")
def test_a_folder_that_skopeo_wrote_beside_is_still_a_layout(
    world: World, command: Command, folder: Path, tmp_path: Path
) -> None:
    """What other tools write has no names of ours, and is refused as what it is."""
    source = f"docker://{world.source.address}/team/app:v2.0"
    target = f"oci:{tmp_path / 'theirs'}:internet.local/team/app:v2.0"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--all", "--src-tls-verify=false", source, target],
        check=True,
        capture_output=True,
    )

    assert command("load", tmp_path / "theirs") == 1
    assert command("bundle", tmp_path / "theirs") == 1
