"""The DCV image of the local deployment: built from the private base, started beside the emulated account."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from collection.modules import REPOSITORY
from support.local import LocalCloud

sys.path.insert(0, str(REPOSITORY / "modules" / "dcv-image" / "tests"))

from dcv_runtime.containers import docker, engine_is_there, until
from dcv_runtime.desktop import DRAWN, GROUP, Desktop, draw
from dcv_runtime.pods import Pod, running_pod

pytestmark = pytest.mark.engine

READY_SECONDS = 3.0
PARAMETER = "/airgap/local/desktops-dcv/dcv-display"
ENVIRONMENT = {"DCV_EKS_DISPLAY_PARAMETER_STORE": PARAMETER, "AWS_ACCESS_KEY_ID": "123456789012"}


@pytest.fixture(scope="module")
def image(cloud: LocalCloud) -> str:
    """The image that the deployment published, by digest."""
    if not engine_is_there():
        pytest.skip("there is no container engine that these tests and the deployment share: set DOCKER_HOST")
    cloud.must("apply")
    uri = str(cloud.outputs()["DCVImageDigestUri"])
    cloud.must("docker", "pull", uri)
    secret = json.dumps({"UserName": "sampleuser", "Password": "samplepassword"})
    cloud.client("secretsmanager").create_secret(Name="dcv-credentials", SecretString=secret)
    # The engine knows the image by the address at which the emulated registry really is.
    return f"127.0.0.1:{cloud.port_base}/{uri.partition('/')[2]}"


@pytest.fixture
def pod(cloud: LocalCloud, image: str) -> Iterator[Pod]:
    with running_pod(image, cloud.port_base) as running:
        yield running


def started_after(pod: Pod) -> float:
    """Seconds that a start needed, as its log has them."""
    container = pod.healthy(environment=ENVIRONMENT)
    (line,) = [line for line in container.log().splitlines() if "is there after" in line]
    docker("stop", "--time", "30", container.name)
    assert container.state()["ExitCode"] == 0
    return float(line.split("after ")[1].split(" s")[0])


def test_a_session_is_there_in_three_seconds(pod: Pod) -> None:
    """The best of three starts: what else the machine does is not the image's."""
    assert min(started_after(pod) for _ in range(3)) <= READY_SECONDS


def test_it_becomes_ready_when_ssm_has_its_display(pod: Pod, cloud: LocalCloud) -> None:
    container = pod.healthy(environment=ENVIRONMENT)

    until("the publication is current", lambda: container.probe("--ready").returncode == 0)

    names = [PARAMETER, PARAMETER.replace("dcv-display", "dcv-socket-mount-path")]
    found = cloud.client("ssm").get_parameters(Names=names)["Parameters"]
    values = {item["Name"]: item["Value"] for item in found}
    assert values == dict(zip(names, [":0", "/var/addf/dcv-eks/sockets"], strict=True))


def test_an_application_with_the_cookie_draws_and_a_stranger_does_not(pod: Pod, tmp_path: Path) -> None:
    desktop = Desktop(pod, tmp_path, ENVIRONMENT)
    before = desktop.screen()

    assert "Authorization required" in draw(desktop.application())
    assert desktop.screen() == before
    assert draw(desktop.application("--group-add", str(GROUP))) == "drawn\n"
    assert desktop.screen() == DRAWN != before
