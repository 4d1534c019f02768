"""The whole cycle of the four modules, and the build service that `apply` starts from the pushed image.

The first build of all images takes many minutes, so that this runs with AIRGAP_LONG=1 only.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.local import LocalCloud, Run, copy_repository, local_cloud

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        "AIRGAP_LONG" not in os.environ, reason="builds every image of four modules: AIRGAP_LONG=1 runs it"
    ),
]

MODULES = {"replication-images", "desktops-dcv", "desktops-kvdi", "builders-images"}
# What the bootstraps of SeedFarmer and the CDK make, which belongs to no deployment.
BOOTSTRAPPED = {"CDKToolkit", "aws-codeseeder-airgap", "seedfarmer-airgap", "seedfarmer-airgap-artifacts"}
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud of its own, with the deployment as a user has it."""
    with local_cloud(copy_repository(tmp_path_factory.mktemp("four") / "repository")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def applied(cloud: LocalCloud) -> Run:
    """The deployment, applied for the first time."""
    return cloud.must("apply", "--timings")


def test_all_four_modules_have_outputs(cloud: LocalCloud, applied: Run) -> None:
    assert set(cloud.outputs()["modules"]) == MODULES
    assert "where the time went" in applied.stdout


def test_the_service_knows_the_images_of_the_other_modules(cloud: LocalCloud, applied: Run) -> None:
    outputs = cloud.outputs()
    bases = json.loads(json.loads(outputs["ImageBuilderEnvironment"])["DCRX_KV_BASES"])
    desktops = json.loads(outputs["DesktopImageDigestUris"])
    assert bases == {"dcv": outputs["DCVImageDigestUri"]} | {
        f"desktop-{name}": uri for name, uri in desktops.items()
    }


def test_apply_says_where_image_builder_is_and_how_to_sign_in_and_no_secret(
    cloud: LocalCloud, applied: Run
) -> None:
    endpoint = f"http://127.0.0.1:{cloud.port_base + 3}"
    assert cloud.outputs()["ImageBuilderEndpoint"] == endpoint
    assert f"image-builder: {endpoint}/docs, user admin, password: cat " in applied.stderr
    assert any(line.split()[:2] == ["image-builder", endpoint] for line in status(cloud))
    password = password_file(applied)
    assert (password.stat().st_mode & 0o777) == 0o600
    assert password.read_text() not in applied.text
    assert password.read_text() not in cloud.must("outputs").text


def test_an_image_built_on_the_dcv_image_runs(cloud: LocalCloud, applied: Run) -> None:
    content = base64.b64encode(b"hello from a team\n").decode()
    layers = [
        {"layer_type": "stage", "base": "dcv"},
        {"layer_type": "copy", "source": "greeting", "destination": "/greeting"},
    ]
    request = {
        "name": "workstation",
        "tag": "1",
        "layers": layers,
        "files": {"greeting": {"content": content}},
    }

    job = build(cloud, applied, request)

    assert job["image"] == f"{REGISTRY}/airgap-local-images/workstation:1"
    image = f"{REGISTRY}/airgap-local-images/workstation@{job['digest']}"
    cloud.must("docker", "pull", image)
    assert cloud.must("docker", "run", "--rm", image, "cat", "/greeting").stdout == "hello from a team\n"
    assert "bookworm" in cloud.must("docker", "run", "--rm", image, "cat", "/etc/os-release").stdout


def test_commands_run_in_a_build_on_a_desktop(cloud: LocalCloud, applied: Run) -> None:
    layers = [
        {"layer_type": "stage", "base": "desktop-debian-supervisord-base"},
        # Desktops run as a user who may not write there.
        {"layer_type": "user", "user_id": "0"},
        {"layer_type": "run", "command": "id -u > /built-by && chmod 0444 /built-by"},
    ]

    job = build(cloud, applied, {"name": "desktop", "tag": "1", "layers": layers})

    image = f"{REGISTRY}/airgap-local-images/desktop@{job['digest']}"
    cloud.must("docker", "pull", image)
    shown = cloud.must("docker", "run", "--rm", "--entrypoint", "cat", image, "/built-by")
    assert shown.stdout == "0\n"  # of the build's own namespace


def test_a_second_apply_leaves_everything_as_it_is(cloud: LocalCloud, applied: Run) -> None:
    running = status(cloud)
    again = cloud.must("apply")
    assert "nothing to do: all 4 modules are up to date" in again.stderr
    assert status(cloud) == running


def test_destroy_stops_it_and_leaves_nothing(cloud: LocalCloud, applied: Run) -> None:
    (service,) = containers(cloud)
    cloud.must("destroy")
    left = cloud.inventory()
    assert left.stacks <= BOOTSTRAPPED
    assert {name for name in left.repositories if not name.startswith("cdk-")} == set()
    assert {name for name in left.parameters if not name.startswith("/cdk-bootstrap/")} == set()
    assert {name for name in left.buckets if name.startswith("airgap-")} == set()
    assert left.secrets == frozenset()
    assert {name for name in roles(cloud) if name.startswith("airgap-local-")} == set()
    assert not any(line.startswith("image-builder") for line in status(cloud))
    assert service not in containers(cloud)
    assert not password_file(applied).parent.parent.exists()


def test_what_was_destroyed_can_be_applied_again(cloud: LocalCloud, applied: Run) -> None:
    again = cloud.must("apply")
    job = build(
        cloud, again, {"name": "again", "tag": "1", "layers": [{"layer_type": "stage", "base": "dcv"}]}
    )
    assert job["status"] == "DONE"
    cloud.must("destroy")


def test_down_ends_every_process_and_mount(cloud: LocalCloud, applied: Run) -> None:
    cloud.must("down")
    assert cloud.processes() == []
    assert str(cloud.state) not in Path("/proc/self/mounts").read_text()


def status(cloud: LocalCloud) -> list[str]:
    return cloud.must("status").stdout.splitlines()


def containers(cloud: LocalCloud) -> list[str]:
    """Names of the build service's containers; the engine may have those of others."""
    port = f"127.0.0.1:{cloud.port_base}/"
    listed = cloud.must("docker", "ps", "--all", "--format", "{{.Names}} {{.Image}}").stdout
    return [line.split()[0] for line in listed.splitlines() if f" {port}airgap-image-builder" in line]


def roles(cloud: LocalCloud) -> list[str]:
    pages = cloud.client("iam").get_paginator("list_roles").paginate()
    return [role["RoleName"] for page in pages for role in page["Roles"]]


def password_file(applied: Run) -> Path:
    """Where the first administrator's password is, as `apply` tells it."""
    return Path(applied.stderr.partition("password: cat ")[2].splitlines()[0])


def build(cloud: LocalCloud, applied: Run, request: dict[str, Any]) -> dict[str, Any]:
    """Have the deployment's service build an image; the job at its end."""
    address = cloud.outputs()["ImageBuilderEndpoint"]
    login = {"username": "admin", "password": password_file(applied).read_text()}
    with httpx.Client(base_url=address, timeout=600, trust_env=False) as http:
        assert http.post("/users/login", json=login).status_code == 200
        created = http.post("/jobs/images/create", json=request)
        assert created.status_code == 200, created.text
        job_id = created.json()["job_id"]
        log = http.get(f"/jobs/images/{job_id}/logs").text  # until the job has ended
        job: dict[str, Any] = http.get(f"/jobs/images/{job_id}/get").json()
    assert job["status"] == "DONE", f"{job}\n{log}"
    return job
