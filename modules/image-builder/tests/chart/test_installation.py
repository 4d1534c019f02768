"""The chart on a real Kubernetes API server, of 1.20: older API versions than those of the schemas."""

import subprocess
import uuid
from pathlib import Path

import kubernetes
import pytest
from support.kube.control_plane import ControlPlane
from support.kube.fixtures import control_plane  # noqa: F401  a fixture

from .helm import CHART, IN_CLUSTER, NAME, Helm, options

VALUES = {**IN_CLUSTER, "autoscaling.enabled": "true", "database.tryOut.storage": "1Gi"}


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:  # noqa: F811
    return control_plane.make_namespace(f"images-{uuid.uuid4().hex[:8]}")


def test_it_installs_upgrades_rolls_back_and_uninstall_leaves_nothing(
    helm: Helm,
    control_plane: ControlPlane,  # noqa: F811
    namespace: str,
    tmp_path: Path,
) -> None:
    common = [
        f"--namespace={namespace}",
        f"--kubeconfig={control_plane.write_kubeconfig(tmp_path / 'config')}",
    ]
    apps = kubernetes.client.AppsV1Api(control_plane.core().api_client)
    core = control_plane.core()

    def password() -> str:
        data: dict[str, str] = core.read_namespaced_secret(f"{NAME}-postgresql", namespace).data
        return data["password"]

    _succeeds(helm.run("install", NAME, str(CHART), *common, *options(VALUES)))
    first = password()
    assert apps.read_namespaced_deployment(NAME, namespace).spec.template.spec.enable_service_links is False

    changed = {**VALUES, "image.uri": "dcrx-kv:2"}
    _succeeds(helm.run("upgrade", NAME, str(CHART), *common, *options(changed)))
    assert _image(apps, namespace) == "dcrx-kv:2"
    assert password() == first, "an upgrade must keep the database's password"

    _succeeds(helm.run("rollback", NAME, "1", *common))
    assert _image(apps, namespace) == "dcrx-kv:latest"
    assert password() == first

    _succeeds(helm.run("uninstall", NAME, *common))
    ours = {"label_selector": f"app.kubernetes.io/instance={NAME}"}
    for listed in (
        apps.list_namespaced_deployment,
        apps.list_namespaced_stateful_set,
        core.list_namespaced_config_map,
        core.list_namespaced_secret,
        core.list_namespaced_service,
        core.list_namespaced_service_account,
        core.list_namespaced_persistent_volume_claim,
    ):
        assert all(item.metadata.deletion_timestamp for item in listed(namespace, **ours).items), listed


def _image(apps: kubernetes.client.AppsV1Api, namespace: str) -> str:
    image: str = apps.read_namespaced_deployment(NAME, namespace).spec.template.spec.containers[0].image
    return image


def _succeeds(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr
