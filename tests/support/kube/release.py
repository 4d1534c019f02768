"""The service of image-builder on a cluster, installed from its chart by the real helm."""

import base64
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import yaml
from testing.helm import ensure_helm

from support.pinned_env import cache_folder

from .builds import ADMIN, LOOK, PASSWORD, WITHIN, Builds, Orders, wait_until

CHART = Path(__file__).resolve().parents[3] / "modules" / "image-builder" / "helm" / "dcrx-kv"
NAME = "dcrx-kv"
HELM_VERSION = "4.3.1"
SECRETS, ADMINISTRATOR = "dcrx-kv-secrets", "administrator"
SERVICE = "app.kubernetes.io/component=service"


_UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout)


class _Patient(httpx.HTTPTransport):
    """Asks again what only reads, or has reached nobody, as clients have to when a replica is killed."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        end = time.monotonic() + WITHIN
        while True:
            try:
                return super().handle_request(request)
            except httpx.TransportError as error:
                harmless = request.method == "GET" or isinstance(error, _UNREACHED)
                if not harmless or time.monotonic() > end:
                    raise
                time.sleep(LOOK)


@dataclass
class Release(Builds):
    """A release in a namespace of its own, with a new database."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def prepare(self) -> None:
        """Make what an administrator makes before: the namespace and the secrets."""
        self.surroundings.cluster.control_plane.make_namespace(self.namespace)
        self._make_secret(
            SECRETS,
            {
                "DCRX_KV_SECRET_KEY": secrets.token_hex(32),
                "DCRX_KV_ENCRYPTION_KEY": secrets.token_hex(32),
                "DCRX_KV_DATABASE_URI": self.surroundings.new_database(),
            },
        )
        self._make_secret(
            ADMINISTRATOR, {"DCRX_KV_ADMIN_USERNAME": ADMIN, "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
        )

    def install(self, values: dict[str, Any]) -> None:
        """Install the chart, and wait until all replicas are ready and reached by the Service."""
        file = self.folder / "values.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        self.helm("install", NAME, str(CHART), f"--values={file}")
        wait_until(self.is_ready, self)
        with self._http() as http:
            assert http.get("/health/ready").status_code == 200

    def helm(self, *arguments: str) -> str:
        """Call helm in the namespace; what it printed."""
        helm = ensure_helm(cache_folder(), HELM_VERSION)
        config = self.folder / "kubeconfig"
        if not config.exists():
            self.surroundings.cluster.control_plane.write_kubeconfig(config)
        command = [str(helm), *arguments, f"--namespace={self.namespace}", f"--kubeconfig={config}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.state()}"
        return done.stdout

    def replicas(self) -> list[Any]:
        """The pods of the service."""
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=SERVICE).items)

    def client(self) -> Orders:
        """A client that is signed in."""
        return Orders.signed_in(self.stack.enter_context(self._http()), self)

    def remains(self) -> list[str]:
        """Kind and name of what is there, but for what every namespace has."""
        return sorted(
            f"{kind}/{name}"
            for kind, name in self._objects()
            if name not in ("default", "kube-root-ca.crt") and not name.startswith("default-token-")
        )

    def end(self) -> None:
        """Remove the namespace; pods are not waited for."""
        self.stack.close()
        self.core.delete_namespace(self.namespace)

    def state(self) -> str:
        logs = []
        for pod in self.core.list_namespaced_pod(self.namespace).items:
            text = f"{pod.metadata.name}: {pod.status.phase} {pod.status.container_statuses}"
            try:
                text += str(
                    self.core.read_namespaced_pod_log(pod.metadata.name, self.namespace, tail_lines=20)
                )
            except kubernetes.client.ApiException as error:
                text += f"no log: {error.reason}"
            logs.append(text[:6000])
        return "\n".join(logs)

    def is_ready(self) -> bool:
        """Whether all replicas are."""
        apps = kubernetes.client.AppsV1Api(self.surroundings.cluster.control_plane.admin)
        deployment = apps.read_namespaced_deployment(NAME, self.namespace)
        ready: bool = deployment.status.ready_replicas == deployment.spec.replicas
        return ready

    def _http(self) -> httpx.Client:
        """By the port of the Service on the node, which goes to any replica."""
        (port,) = self.core.read_namespaced_service(NAME, self.namespace).spec.ports
        url = f"http://{self.surroundings.cluster.node.address}:{port.node_port}"
        # A connection for each request.
        transport = _Patient(limits=httpx.Limits(max_keepalive_connections=0))
        return httpx.Client(base_url=url, timeout=60, transport=transport)

    def _make_secret(self, name: str, content: dict[str, str]) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
        self.core.create_namespaced_secret(self.namespace, {"metadata": {"name": name}, "data": data})

    def _objects(self) -> Iterator[tuple[str, str]]:
        client = self.surroundings.cluster.control_plane.admin
        apps, rbac = kubernetes.client.AppsV1Api(client), kubernetes.client.RbacAuthorizationV1Api(client)
        network = kubernetes.client.NetworkingV1Api(client)
        policy = kubernetes.client.CustomObjectsApi(client)
        for kind, listed in {
            "ConfigMap": self.core.list_namespaced_config_map,
            "Secret": self.core.list_namespaced_secret,
            "Service": self.core.list_namespaced_service,
            "Endpoints": self.core.list_namespaced_endpoints,
            "ServiceAccount": self.core.list_namespaced_service_account,
            "PersistentVolumeClaim": self.core.list_namespaced_persistent_volume_claim,
            "Pod": self.core.list_namespaced_pod,
            "Job": self.batch.list_namespaced_job,
            "Deployment": apps.list_namespaced_deployment,
            "ReplicaSet": apps.list_namespaced_replica_set,
            "StatefulSet": apps.list_namespaced_stateful_set,
            "Role": rbac.list_namespaced_role,
            "RoleBinding": rbac.list_namespaced_role_binding,
            "Ingress": network.list_namespaced_ingress,
            "NetworkPolicy": network.list_namespaced_network_policy,
        }.items():
            yield from ((kind, item.metadata.name) for item in listed(self.namespace).items)
        budgets = policy.list_namespaced_custom_object(
            "policy", "v1beta1", self.namespace, "poddisruptionbudgets"
        )
        yield from (("PodDisruptionBudget", item["metadata"]["name"]) for item in budgets["items"])
