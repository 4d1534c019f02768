"""What tests ask the cluster."""

import json
from dataclasses import dataclass
from typing import Any

import kubernetes
from support.kube.control_plane import ControlPlane

ACCOUNT = "123456789012"
REGION = "us-east-1"
CLUSTER = "production"
PREFIX = "SEEDFARMER_PARAMETER_"
KEY_SECRET = "key"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/idf-image-builder@sha256:{'c' * 64}"
OUTPUTS = {
    "ImageBuilderImageDigestUri": IMAGE,
    "ImageBuilderEnvironment": json.dumps({"DOCKER_REGISTRY_URI": "https://registry.example.com/images"}),
    "ImageBuilderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/pods",
    "ImageBuilderSecretName": KEY_SECRET,
    "ImageBuilderAdministratorSecretName": "administrator",
}


@dataclass(frozen=True)
class Eks:
    """A namespace of the cluster, seen by who may do everything."""

    api_server: ControlPlane
    namespace: str

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        return self.api_server.core()

    def deployment(self) -> Any:  # noqa: ANN401  the client has no types
        apps = kubernetes.client.AppsV1Api(self.api_server.admin)
        return apps.read_namespaced_deployment("dcrx-kv", self.namespace)

    def deployments(self) -> int:
        apps = kubernetes.client.AppsV1Api(self.api_server.admin)
        return len(apps.list_namespaced_deployment(self.namespace).items)

    def secrets(self) -> set[str]:
        return {item.metadata.name for item in self.core.list_namespaced_secret(self.namespace).items}

    def is_going(self) -> bool:
        """Whether the namespace is being deleted; nobody ends that here."""
        return self.core.read_namespace(self.namespace).metadata.deletion_timestamp is not None

    def add_failing_pod(self) -> None:
        """A pod of the release whose image cannot be pulled."""
        labels = {"app.kubernetes.io/instance": "dcrx-kv"}
        container = {"name": "service", "image": "missing:1"}
        metadata = {"name": "failing", "labels": labels}
        pod = {"metadata": metadata, "spec": {"containers": [container]}}
        self.core.create_namespaced_pod(self.namespace, pod)
        waiting = {"reason": "ErrImagePull", "message": "missing:1: not found"}
        status = {"name": "service", "image": "missing:1", "imageID": "", "ready": False, "restartCount": 0}
        patch = {"status": {"containerStatuses": [{**status, "state": {"waiting": waiting}}]}}
        self.core.patch_namespaced_pod_status("failing", self.namespace, patch)
