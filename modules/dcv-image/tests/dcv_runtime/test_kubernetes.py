"""The chart's pod with the image in it: its environment and limits, a real API server, an emulated AWS.

A container engine stands in for the kubelet: what the rendered Deployment says becomes its options.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from dcv_chart import REQUIRED, Helm
from dcv_pod import Pod
from dcv_ssm import DISPLAY, KEYS, REGION, SOCKETS
from support.emulator import Emulator, running_emulator
from support.kube.control_plane import ControlPlane
from support.pinned_env import cache_folder
from testing.helm import HelmUnavailableError, ensure_helm

from .containers import EMULATOR_PORT, Container, Containers, docker, until
from .namespace import Relay

pytestmark = pytest.mark.engine

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
USER = {"UserName": "alice", "Password": "correct horse"}


@dataclass(frozen=True)
class Session:
    """The chart's container, running."""

    container: Container
    pod: Pod
    ssm: Any

    def reason(self) -> str:
        """Why it is not ready; empty when it is."""
        probed = self.container.probe("--ready")
        return "" if probed.returncode == 0 else probed.stderr

    def parameter(self, name: str) -> str:
        """An SSM parameter, as the account's administrator sees it."""
        value: str = self.ssm.get_parameter(Name=name)["Parameter"]["Value"]
        return value


@pytest.fixture
def helm() -> Helm:
    try:
        return Helm(ensure_helm(cache_folder(), "3.17.3"))
    except HelmUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    with running_emulator(folder) as running:
        yield running


@pytest.fixture
def session(
    session_image: str, helm: Helm, control_plane: ControlPlane, emulator: Emulator, tmp_path: Path
) -> Iterator[Session]:
    pod = Pod.installed(helm, control_plane, f"dcv-{uuid.uuid4().hex[:8]}", tmp_path / "serviceaccount")
    client = {
        "endpoint_url": emulator.url,
        "region_name": REGION,
        "aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    boto3.client("secretsmanager", **client).create_secret(
        Name="dcv-credentials", SecretString=json.dumps(USER)
    )
    sockets = tmp_path / "sockets"
    sockets.mkdir(mode=0o755)  # as the kubelet makes it: for root alone
    values = {
        **{name: value for name, value in REQUIRED.items() if name != "tls.secretName"},
        "tls.selfSigned": "true",
        "ssm.displayParameter": DISPLAY,
        "display.hostPath": str(sockets),
    }
    spec = helm.objects(values)["Deployment"]["spec"]["template"]["spec"]
    containers = Containers(session_image)
    try:
        network = containers.network()
        relays = [
            Relay(network.process(), EMULATOR_PORT, int(emulator.url.rpartition(":")[2])),
            Relay(network.process(), control_plane.port, control_plane.port),
        ]
        environment = {
            **pod.environment,
            **KEYS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{EMULATOR_PORT}",
            **{item["name"]: item["value"] for item in spec["containers"][0]["env"]},
        }
        container = containers.session(
            network=network,
            environment=environment,
            capabilities=spec["containers"][0]["securityContext"]["capabilities"]["add"],
            volumes=_empty_volumes(spec),
            options=[
                *("--volume", f"{sockets}:/tmp/.X11-unix"),
                *("--volume", f"{pod.folder}:{SERVICE_ACCOUNT}:ro"),
            ],
            command=spec["containers"][0]["command"],
        )
        yield Session(container, pod, boto3.client("ssm", **client))
        for relay in relays:
            relay.close()
    finally:
        containers.remove_all()


def test_the_charts_pod_becomes_ready_and_is_not_when_its_configmap_goes(session: Session) -> None:
    session.container.wait_until_healthy()
    until("publication", lambda: session.reason() == "")

    published = session.pod.published()
    assert published["display"] == session.parameter(DISPLAY)
    assert published["socket_mount_path"] == session.parameter(SOCKETS)
    # What an application is told is there, for the group that may draw.
    listed = session.container.run("stat", "--format=%g %a", published["xauthority"]).stdout
    assert listed.strip() == "8443 640"

    session.pod.remove_config_map()
    until(
        "its absence is found",
        lambda: "ConfigMap dcv-agent-config-map: it does not exist" in session.reason(),
    )
    assert session.container.healthy()

    session.pod.make_config_map()
    until("it is published again", lambda: session.reason() == "")
    assert session.pod.published() == published


def test_the_pod_ends_in_order_within_its_grace_period(session: Session) -> None:
    session.container.wait_until_healthy()

    docker("stop", "--time", "30", session.container.name)

    assert session.container.state()["ExitCode"] == 0


def _empty_volumes(spec: dict[str, Any]) -> list[str]:
    """Where the pod mounts volumes that are empty at first; shared memory every container has."""
    empty = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    mounts = spec["containers"][0]["volumeMounts"]
    return [mount["mountPath"] for mount in mounts if mount["name"] in empty - {"shared-memory"}]
