"""The chart against a real Kubernetes API server."""

import subprocess
import uuid
from pathlib import Path

import kubernetes
import pytest
from dcv_chart import CHART, EVERYTHING, REQUIRED, Helm, settings
from support.kube.control_plane import ControlPlane

# The server is of 1.20, whose disruption budgets are of another version (policy/v1beta1).
WITHOUT_BUDGET = {**EVERYTHING, "podDisruptionBudget.enabled": "false"}


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return control_plane.make_namespace(f"dcv-{uuid.uuid4().hex[:8]}")


@pytest.mark.parametrize("values", [REQUIRED, WITHOUT_BUDGET], ids=["required", "everything"])
def test_the_server_takes_every_manifest(
    helm: Helm, control_plane: ControlPlane, namespace: str, values: dict[str, str]
) -> None:
    manifests = helm.template(values, f"--namespace={namespace}")

    control_plane.create(manifests, namespace, dry_run=True)


def test_the_server_refuses_a_wrong_manifest(helm: Helm, control_plane: ControlPlane, namespace: str) -> None:
    manifests = helm.template(REQUIRED, f"--namespace={namespace}").replace("protocol: UDP", "protocol: QUIC")

    with pytest.raises(kubernetes.utils.FailToCreateError, match="QUIC"):
        control_plane.create(manifests, namespace, dry_run=True)


def test_an_upgrade_keeps_the_published_display_and_uninstall_leaves_nothing(
    helm: Helm, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = control_plane.write_kubeconfig(tmp_path / "kubeconfig")
    common = [f"--namespace={namespace}", f"--kubeconfig={kubeconfig}"]
    core = control_plane.core()

    _succeeds(helm.run("install", "dcv", str(CHART), *common, *settings(REQUIRED)))
    core.patch_namespaced_config_map("dcv-agent-config-map", namespace, {"data": {"display": ":7"}})
    _succeeds(helm.run("upgrade", "dcv", str(CHART), *common, *settings({**REQUIRED, "gpu.count": "1"})))

    assert core.read_namespaced_config_map("dcv-agent-config-map", namespace).data["display"] == ":7"

    _succeeds(helm.run("uninstall", "dcv", *common))
    assert core.list_namespaced_config_map(namespace, label_selector="env=dcv").items == []
    assert core.list_namespaced_service(namespace).items == []


def _succeeds(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr
