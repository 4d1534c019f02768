"""From nothing to deployed modules and back, as the README tells it: the whole cycle with the real tools."""

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local import TWO_MODULES, LocalCloud, Run, copy_repository, local_cloud

pytestmark = pytest.mark.engine

MANIFEST = "manifests/local/deployment.yaml"
MODULES = {"replication-images", "desktops-dcv", "extra-greeter"}
GREETER_GROUP = """\
name: greeter
path: modules/greeter
targetAccount: primary
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that these tests change: a module made by `new-module` is part of its deployment."""
    checkout = copy_repository(tmp_path_factory.mktemp("cycle") / "repository", TWO_MODULES)
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
def bootstrapped() -> set[str]:
    """Stacks that stay after a destroy: those of the bootstraps, which belong to no deployment."""
    return {"CDKToolkit", "aws-codeseeder-airgap", "seedfarmer-airgap", "seedfarmer-airgap-artifacts"}


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
    assert "where the time went" in applied.stdout
    assert "seedfarmer: its fixed sleep" in applied.stdout
    assert built(applied) == MODULES


def test_nothing_listens_outside_loopback(cloud: LocalCloud, applied: Run) -> None:
    addresses = listening_addresses(cloud)
    assert len(addresses) >= 3  # the emulator, the source registry, the chart repositories
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


def test_outputs_are_those_of_the_contract(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    bucket = "airgap-dkr-img-rep-md-us-east-1-123456789012"
    assert outputs["S3Bucket"] == outputs["s3_bucket"] == bucket
    assert outputs["S3Object"] == outputs["s3_object"] == "local-replication-images-metadata.json"
    assert outputs["S3FullPath"] == outputs["s3_full_path"] == f"{bucket}/{outputs['S3Object']}"
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert outputs["DCVImageUri"] == f"{registry}/airgap-dcv-image:dcv-latest"
    assert outputs["DCVImageDigestUri"].startswith(f"{registry}/airgap-dcv-image@sha256:")
    assert set(outputs["modules"]) == MODULES


def test_the_inventory_names_every_replicated_image(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    stored = cloud.client("s3").get_object(Bucket=outputs["S3Bucket"], Key=outputs["S3Object"])
    inventory = json.loads(stored["Body"].read())
    base = inventory["images"]["docker.io/library/debian:bookworm"]
    assert base == "123456789012.dkr.ecr.us-east-1.amazonaws.com/airgap-docker.io/library/debian:bookworm"
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
    reference = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{repository}@{image['imageDigest']}"
    assert "replicated" in cloud.must("docker", "run", "--rm", reference, "echo", "replicated").stdout


def test_a_second_apply_changes_nothing_and_says_so(cloud: LocalCloud, applied: Run) -> None:
    before = cloud.inventory()
    again = cloud.must("apply")
    assert built(again) == set()
    assert "nothing to do: all 3 modules are up to date" in again.stderr
    assert cloud.inventory() == before


def test_a_changed_data_file_redeploys_its_module_and_what_depends_on_it(
    cloud: LocalCloud, checkout: Path, applied: Run
) -> None:
    data = checkout / "data" / "local_dockerimage-replication" / "versions" / "1.33.yaml"
    data.write_text(data.read_text() + "\n# a comment is a change, too\n")
    assert built(cloud.must("apply")) == {"replication-images", "desktops-dcv"}


def test_a_module_whose_build_fails_is_named_with_its_command_and_stores_no_metadata(
    cloud: LocalCloud, checkout: Path, applied: Run
) -> None:
    manifest = checkout / "manifests" / "local" / "image-modules.yaml"
    good = manifest.read_text()
    manifest.write_text(good.replace("docker.io/library/debian:bookworm", "docker.io/library/missing:1"))
    failed = cloud.local("apply")
    manifest.write_text(good)
    assert failed.status == 1
    assert "module local-desktops-dcv failed in build: `python -m dcv_image apply`" in failed.stderr
    assert "base-image" in failed.stderr
    assert "missing:1" in failed.stderr
    assert "Traceback" not in failed.text
    assert "/airgap/local/desktops/dcv/md5/bundle" not in cloud.inventory().parameters


def test_destroy_after_that_leaves_nothing_of_the_deployment(
    cloud: LocalCloud, applied: Run, bootstrapped: set[str]
) -> None:
    cloud.must("destroy")
    left = cloud.inventory()
    assert {name for name in left.stacks if "local" in name} == set()
    assert left.stacks <= bootstrapped, left.stacks
    assert left.repositories - {name for name in left.repositories if name.startswith("cdk-")} == frozenset()
    assert {name for name in left.parameters if not name.startswith("/cdk-bootstrap/")} == set()
    assert {name for name in left.buckets if name.startswith("airgap-")} == set()


def test_what_was_destroyed_can_be_applied_again(cloud: LocalCloud, applied: Run) -> None:
    assert built(cloud.must("apply")) == MODULES
    uri = cloud.outputs()["DCVImageDigestUri"]
    assert "bookworm" in cloud.must("docker", "run", "--rm", uri, "cat", "/etc/os-release").stdout
    cloud.must("destroy")


def test_destroying_what_is_not_deployed_is_no_error(cloud: LocalCloud, applied: Run) -> None:
    assert cloud.local("destroy").status == 0


def test_down_ends_every_process_and_mount(cloud: LocalCloud, applied: Run) -> None:
    cloud.must("down")
    assert cloud.processes() == []
    assert str(cloud.state) not in Path("/proc/self/mounts").read_text()
    assert "nothing was running" in cloud.must("down").stderr


def listening_addresses(cloud: LocalCloud) -> list[str]:
    """Addresses on which processes of the cloud listen (proc(5): state 0A, addresses in hexadecimal)."""
    inodes = {
        str(link.readlink())
        for pid, _command in cloud.processes()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.is_symlink()
    }
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                words = bytes.fromhex(fields[1].partition(":")[0])
                groups = [words[start : start + 4][::-1] for start in range(0, len(words), 4)]
                found.append(str(ipaddress.ip_address(b"".join(groups))))
    return found
