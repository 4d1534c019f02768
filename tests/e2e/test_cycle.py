"""From nothing to four deployed modules and back, as the README tells it, with the real tools.

A fifth module, made by `new-module`, is deployed beside them.
"""

import base64
import ipaddress
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.build_service import BuildService
from support.local import LocalCloud, Run, copy_repository, local_cloud

pytestmark = pytest.mark.engine

MANIFEST = "manifests/local/deployment.yaml"
DEPENDENT = {"desktops-dcv", "desktops-kvdi", "builders-images"}
MODULES = {"replication-images", "extra-greeter"} | DEPENDENT
# What the bootstraps of SeedFarmer and the CDK make, which belongs to no deployment.
BOOTSTRAPPED = {"CDKToolkit", "aws-codeseeder-airgap", "seedfarmer-airgap", "seedfarmer-airgap-artifacts"}
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
GREETER_GROUP = """\
name: greeter
path: modules/greeter
targetAccount: primary
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that these tests change: a module made by `new-module` is part of its deployment."""
    checkout = copy_repository(tmp_path_factory.mktemp("cycle") / "repository")
    subprocess.run([str(checkout / "scripts" / "new-module"), "greeter"], check=True, capture_output=True)
    (checkout / "manifests" / "local" / "extra.yaml").write_text(GREETER_GROUP)
    manifest = checkout / MANIFEST
    text = manifest.read_text()
    manifest.write_text(
        text.replace(
            "targetAccountMappings:",
            "  - name: extra\n    path: manifests/local/extra.yaml\ntargetAccountMappings:",
        )
    )
    return checkout


@pytest.fixture(scope="module")
def cloud(checkout: Path) -> Iterator[LocalCloud]:
    """A cloud that no other test has touched."""
    with local_cloud(checkout) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def applied(cloud: LocalCloud) -> Run:
    """The first apply, in every point as a user's."""
    return cloud.must("apply", "--timings", LOCAL_IAM_WAIT="yes")


@pytest.fixture(scope="module")
def service(cloud: LocalCloud, applied: Run) -> BuildService:
    """The build service that the first apply started."""
    return BuildService.of(cloud, applied)


@pytest.fixture(scope="module")
def first_digests(cloud: LocalCloud, applied: Run) -> list[str]:
    """The images as the first apply published them."""
    return digests(cloud)


def digests(cloud: LocalCloud) -> list[str]:
    """Every image that the modules publish."""
    outputs = cloud.outputs()
    names = ("DCVImageDigestUri", "DesktopImageDigestUris", "ImageBuilderImageDigestUri")
    return [outputs[name] for name in names]


def built(run: Run) -> set[str]:
    """The modules that a run deployed."""
    return {
        line.split("local-", 1)[1].partition(":")[0]
        for line in run.stderr.splitlines()
        if "local-" in line and "build started" in line
    }


def test_apply_ends_with_a_table_of_every_modules_outputs(applied: Run) -> None:
    for name in ("S3FullPath", "s3_full_path", "S3Bucket", "s3_bucket", "S3Object", "s3_object"):
        assert name in applied.stdout
    for name in ("DCVImageUri", "DCVImageDigestUri", "DCVRuntimePolicyArn"):
        assert name in applied.stdout
    for name in ("DesktopImageUris", "DesktopImageDigestUris", "ImageBuilderEndpoint"):
        assert name in applied.stdout
    assert "where the time went" in applied.stdout
    assert "seedfarmer: its fixed sleep" in applied.stdout
    assert built(applied) == MODULES


def test_nothing_listens_outside_loopback(cloud: LocalCloud, applied: Run) -> None:
    listening = listeners()
    ports = {cloud.port_base + offset for offset in range(4)}  # emulator, two of the box, image-builder
    assert ports <= {port for _inode, _address, port in listening}
    own = sockets(cloud)
    outside = [
        (address, port)
        for inode, address, port in listening
        if (inode in own or port in ports) and not ipaddress.ip_address(address).is_loopback
    ]
    assert outside == []


def test_outputs_are_those_of_the_contract(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    bucket = "airgap-dkr-img-rep-md-us-east-1-123456789012"
    assert outputs["S3Bucket"] == outputs["s3_bucket"] == bucket
    assert outputs["S3Object"] == outputs["s3_object"] == "local-replication-images-metadata.json"
    assert outputs["S3FullPath"] == outputs["s3_full_path"] == f"{bucket}/{outputs['S3Object']}"
    assert outputs["DCVImageUri"] == f"{REGISTRY}/airgap-dcv-image:dcv-latest"
    assert outputs["DCVImageDigestUri"].startswith(f"{REGISTRY}/airgap-dcv-image@sha256:")
    assert outputs["ImageBuilderEndpoint"] == f"http://127.0.0.1:{cloud.port_base + 3}"
    assert set(outputs["modules"]) == MODULES


def test_the_inventory_names_every_replicated_image(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    stored = cloud.client("s3").get_object(Bucket=outputs["S3Bucket"], Key=outputs["S3Object"])
    inventory = json.loads(stored["Body"].read())
    base = inventory["images"]["docker.io/library/debian:bookworm"]
    assert base == f"{REGISTRY}/airgap-docker.io/library/debian:bookworm"
    for private in inventory["images"].values():
        repository, _, tag = private.partition("/")[2].rpartition(":")
        found = cloud.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        assert found["imageDetails"], f"{private} is in the inventory and not in the registry"


def test_both_image_outputs_can_be_pulled_and_run(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    for name in ("DCVImageUri", "DCVImageDigestUri"):
        cloud.must("docker", "pull", outputs[name])
        release = cloud.must("docker", "run", "--rm", outputs[name], "cat", "/etc/os-release")
        assert "VERSION_CODENAME=bookworm" in release.stdout


def test_a_replicated_image_can_be_pulled_by_digest_and_run(cloud: LocalCloud, applied: Run) -> None:
    repository = "airgap-docker.io/library/busybox"
    (image,) = [
        item
        for item in cloud.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
        if item.get("imageTags")
    ]
    reference = f"{REGISTRY}/{repository}@{image['imageDigest']}"
    assert "replicated" in cloud.must("docker", "run", "--rm", reference, "echo", "replicated").stdout


def test_every_image_is_published_by_digest(first_digests: list[str]) -> None:
    assert all(f"{REGISTRY}/airgap-" in digest and "@sha256:" in digest for digest in first_digests)


def test_the_build_service_knows_the_images_of_the_other_modules(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    bases = json.loads(json.loads(outputs["ImageBuilderEnvironment"])["DCRX_KV_BASES"])
    desktops = json.loads(outputs["DesktopImageDigestUris"])
    assert bases == {"dcv": outputs["DCVImageDigestUri"]} | {
        f"desktop-{name}": uri for name, uri in desktops.items()
    }


def test_apply_says_where_image_builder_is_and_how_to_sign_in_and_no_secret(
    cloud: LocalCloud, applied: Run, service: BuildService
) -> None:
    endpoint = cloud.outputs()["ImageBuilderEndpoint"]
    assert f"image-builder: {endpoint}/docs, user admin, password: cat " in applied.stderr
    assert any(line.split()[:2] == ["image-builder", endpoint] for line in status(cloud))
    assert (service.password_file.stat().st_mode & 0o777) == 0o600
    password = service.password_file.read_text()
    assert password not in applied.text
    assert password not in cloud.must("outputs").text


def test_an_image_built_on_the_dcv_image_runs(cloud: LocalCloud, service: BuildService) -> None:
    content = base64.b64encode(b"hello from a team\n").decode()

    job = service.build(
        "workstation",
        {"layer_type": "stage", "base": "dcv"},
        {"layer_type": "copy", "source": "greeting", "destination": "/greeting"},
        files={"greeting": {"content": content}},
    )

    assert job["image"] == f"{REGISTRY}/airgap-local-images/workstation:1"
    image = f"{REGISTRY}/airgap-local-images/workstation@{job['digest']}"
    shown = cloud.must("docker", "run", "--rm", image, "cat", "/greeting", "/etc/os-release")
    assert shown.stdout.startswith("hello from a team\n")
    assert "bookworm" in shown.stdout


def test_commands_run_in_a_build_on_a_desktop(cloud: LocalCloud, service: BuildService) -> None:
    job = service.build(
        "desktop",
        {"layer_type": "stage", "base": "desktop-debian-supervisord-base"},
        # Desktops run as a user who may not write there.
        {"layer_type": "user", "user_id": "0"},
        {"layer_type": "run", "command": "id -u > /built-by && chmod 0444 /built-by"},
    )

    image = f"{REGISTRY}/airgap-local-images/desktop@{job['digest']}"
    shown = cloud.must("docker", "run", "--rm", "--entrypoint", "cat", image, "/built-by")
    assert shown.stdout == "0\n"  # of the build's own namespace


def test_a_second_apply_changes_nothing_and_says_so(cloud: LocalCloud, applied: Run) -> None:
    before, running = cloud.inventory(), status(cloud)
    again = cloud.must("apply")
    assert built(again) == set()
    assert f"nothing to do: all {len(MODULES)} modules are up to date" in again.stderr
    assert cloud.inventory() == before
    assert status(cloud) == running


def test_a_changed_data_file_redeploys_its_module_and_what_depends_on_it(
    cloud: LocalCloud, checkout: Path, applied: Run
) -> None:
    outputs = cloud.outputs()
    data = checkout / "data" / "local_dockerimage-replication" / "versions" / "1.33.yaml"
    data.write_text(data.read_text() + "\n# a comment is a change, too\n")
    assert built(cloud.must("apply")) == {"replication-images"} | DEPENDENT
    assert cloud.outputs() == outputs  # the same images: none was built again


def test_a_module_whose_build_fails_is_named_with_its_command_and_stores_no_metadata(
    cloud: LocalCloud, checkout: Path, applied: Run
) -> None:
    manifest = checkout / "manifests" / "local" / "image-modules.yaml"
    good = manifest.read_text()
    manifest.write_text(good.replace("docker.io/library/debian:bookworm", "docker.io/library/missing:1", 1))
    failed = cloud.local("apply")
    manifest.write_text(good)
    assert failed.status == 1
    assert "module local-desktops-dcv failed in build: `python -m dcv_image apply`" in failed.stderr
    assert "base-image" in failed.stderr
    assert "missing:1" in failed.stderr
    assert "Traceback" not in failed.text
    assert "/airgap/local/desktops/dcv/md5/bundle" not in cloud.inventory().parameters


def test_destroy_after_that_leaves_nothing_of_the_deployment(
    cloud: LocalCloud, service: BuildService
) -> None:
    (container,) = service.containers
    cloud.must("destroy")
    left = cloud.inventory()
    assert left.stacks <= BOOTSTRAPPED
    assert {name for name in left.repositories if not name.startswith("cdk-")} == set()
    assert {name for name in left.parameters if not name.startswith("/cdk-bootstrap/")} == set()
    assert {name for name in left.buckets if name.startswith("airgap-")} == set()
    assert left.secrets == frozenset()
    assert {name for name in roles(cloud) if name.startswith("airgap-local-")} == set()
    assert not any(line.startswith("image-builder") for line in status(cloud))
    assert container not in service.containers
    assert not service.password_file.parent.parent.exists()


def test_destroying_what_is_not_deployed_is_no_error(cloud: LocalCloud, applied: Run) -> None:
    assert cloud.local("destroy").status == 0


def test_what_was_destroyed_can_be_applied_again(cloud: LocalCloud, first_digests: list[str]) -> None:
    again = cloud.must("apply")
    assert built(again) == MODULES
    assert digests(cloud) == first_digests
    job = BuildService.of(cloud, again).build("again", {"layer_type": "stage", "base": "dcv"})
    image = f"{REGISTRY}/airgap-local-images/again@{job['digest']}"
    assert "bookworm" in cloud.must("docker", "run", "--rm", image, "cat", "/etc/os-release").stdout


def test_down_ends_every_process_container_and_mount(cloud: LocalCloud, service: BuildService) -> None:
    """With the deployment still there."""
    (container,) = service.containers
    cloud.must("down")
    assert cloud.processes() == []
    assert str(cloud.state) not in Path("/proc/self/mounts").read_text()
    assert container not in cloud.local("docker", "ps", "--all").stdout
    assert "nothing was running" in cloud.must("down").stderr


def status(cloud: LocalCloud) -> list[str]:
    return cloud.must("status").stdout.splitlines()


def roles(cloud: LocalCloud) -> list[str]:
    pages = cloud.client("iam").get_paginator("list_roles").paginate()
    return [role["RoleName"] for page in pages for role in page["Roles"]]


def sockets(cloud: LocalCloud) -> set[str]:
    """Inodes of what processes of the cloud have open."""
    return {
        str(link.readlink()).removeprefix("socket:[").removesuffix("]")
        for pid, _command in cloud.processes()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.is_symlink()
    }


def listeners() -> list[tuple[str, str, int]]:
    """Inode, address and port of every listening socket (proc(5): state 0A, numbers in hexadecimal)."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                address, port = fields[1].split(":")
                words = bytes.fromhex(address)
                groups = [words[start : start + 4][::-1] for start in range(0, len(words), 4)]
                found.append((fields[9], str(ipaddress.ip_address(b"".join(groups))), int(port, 16)))
    return found
