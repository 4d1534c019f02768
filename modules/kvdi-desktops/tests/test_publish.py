"""Publishing with a real engine and a real registry; AWS alone is emulated."""

import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kvdi_desktops import catalogue, cli
from kvdi_desktops.shared.outputs import read_outputs
from kvdi_support import PREFIX, REGISTRY, set_environment, write_catalogue
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket


def has_engine() -> bool:
    """Whether `docker` answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not has_engine(), reason="there is no container engine: set DOCKER_HOST"),
]
OFFICE, BASE = "debian-systemd-office", "debian-systemd-base"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Run docker-registry on loopback; gives its `host:port`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    # Every REGISTRY_* variable would be taken as configuration.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = iter(process.stderr)
        drain = threading.Thread(target=lambda: sum(1 for _ in log))
        try:
            assert any("listening on" in line for line in log), "docker-registry did not start"
            drain.start()
            yield address
        finally:
            process.terminate()
        drain.join()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def public_base(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image that only says what it is, in the registry."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "os-release").write_text("ID=nothing\n")
    with tarfile.open(folder / "base.tar", "w") as archive:
        archive.add(folder / "os-release", "etc/os-release")
    name = f"{registry}/public/base:{uuid.uuid4().hex}"
    docker("import", str(folder / "base.tar"), name)
    docker("push", name)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture
def images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, registry: str, public_base: str
) -> Iterator[Path]:
    """The small catalogue in a deployment of its own; the registry serves as the account's."""
    folder = tmp_path / "images"
    write_catalogue(folder)
    set_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    monkeypatch.setenv(f"{PREFIX}REGISTRY_ENDPOINTS", json.dumps({REGISTRY: f"http://{registry}"}))
    monkeypatch.setenv(f"{PREFIX}DEBIAN_BASE_IMAGE", public_base)
    monkeypatch.setenv(f"{PREFIX}IMAGES", OFFICE)
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv(f"{PREFIX}ECR_REPOSITORY_PREFIX", prefix)
    with mock_aws():
        # Moto applies a bucket policy without its conditions: "deny plain http" would deny everything.
        monkeypatch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
        yield folder
    forget_images(f"{registry}/{prefix}")


def forget_images(prefix: str) -> None:
    """Take images out of the engine, by whatever it calls them."""
    shown = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}"
    listed = docker("image", "ls", "--digests", "--format", shown).splitlines()
    names = {name for line in listed if line.startswith(prefix) for name in line.split()}
    for name in sorted(name for name in names if "<none>" not in name):
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def digests() -> dict[str, str]:
    """Name of each image that the last run published -> digest."""
    uris: dict[str, str] = json.loads(read_outputs()["DesktopImageDigestUris"])
    return {name: uri.partition("@")[2] for name, uri in uris.items()}


def test_parent_and_child_are_published_and_the_child_has_the_parents_layers(
    images: Path, registry: str
) -> None:
    assert cli.main(["apply"]) == 0

    uris: dict[str, str] = json.loads(read_outputs()["DesktopImageDigestUris"])
    layers = {}
    for name, uri in uris.items():
        reference = uri.replace(REGISTRY, registry)
        docker("pull", reference)
        layers[name] = json.loads(docker("image", "inspect", reference))[0]["RootFS"]["Layers"]
    assert layers[OFFICE][: len(layers[BASE])] == layers[BASE]
    assert len(layers[OFFICE]) > len(layers[BASE])


def test_a_second_run_builds_and_pushes_nothing(images: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["apply"]) == 0
    first = digests()
    capfd.readouterr()

    assert cli.main(["apply"]) == 0

    said = capfd.readouterr().out
    assert said.count("unchanged: ") == 2
    assert "published: " not in said
    assert digests() == first


def test_another_checkout_makes_the_same_images(
    images: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other repositories, and files with other times and modes."""
    assert cli.main(["apply"]) == 0
    first = digests()
    forget_images(f"{registry}/{os.environ[f'{PREFIX}ECR_REPOSITORY_PREFIX']}")
    for path in images.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (0, 0))
    monkeypatch.setenv(
        f"{PREFIX}ECR_REPOSITORY_PREFIX", f"{os.environ[f'{PREFIX}ECR_REPOSITORY_PREFIX']}/again"
    )

    assert cli.main(["apply"]) == 0

    assert digests() == first


def test_a_changed_child_is_built_on_the_parent_that_is_there(
    images: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["apply"]) == 0
    first = digests()
    (images / "office" / "added").write_text("a file")
    capfd.readouterr()

    assert cli.main(["apply"]) == 0

    said = capfd.readouterr().out
    assert f"/{BASE}:latest was built from these inputs" in said
    assert digests()[BASE] == first[BASE]
    assert digests()[OFFICE] != first[OFFICE]


def test_a_changed_parent_changes_the_child(images: Path) -> None:
    assert cli.main(["apply"]) == 0
    first = digests()
    (images / "base" / "added").write_text("a file")

    assert cli.main(["apply"]) == 0

    assert {name for name, digest in digests().items() if digest == first[name]} == set()


def test_a_build_that_fails_names_the_image_and_leaves_no_tag(
    images: Path, registry: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (images / "office" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY nothing /\n")

    assert cli.main(["apply"]) == 1

    said = capfd.readouterr().err
    assert f"  - {OFFICE}: manifest parameter `debian-base-image`: " in said
    assert "Traceback" not in said
    assert read_outputs() == {}
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    prefix = os.environ[f"{PREFIX}ECR_REPOSITORY_PREFIX"]
    assert [name for name in names if f"{prefix}/{OFFICE}" in name] == []


def test_a_base_that_is_not_there_is_named(
    images: Path, monkeypatch: pytest.MonkeyPatch, registry: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}DEBIAN_BASE_IMAGE", f"{registry}/public/absent:1")

    assert cli.main(["apply"]) == 1

    said = capfd.readouterr().err
    assert "manifest parameter `debian-base-image`" in said
    assert f"{registry}/public/absent:1" in said
