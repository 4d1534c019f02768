"""A team that has images built on a cluster: its namespace, its database, its service's replicas."""

import base64
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from image_builder.cluster.permissions import PERMISSIONS
from service.processes import ServiceProcess, service_process

from .builds import ADMIN, PASSWORD, Builds, Orders

TEMPLATE = Path(__file__).resolve().parents[2] / "cluster" / "job-template.yaml"
ACCOUNT = "image-builder"
RUN = "import sys; from image_builder.service_cli import main; sys.exit(main())"


@dataclass
class Team(Builds):
    """Starts replicas of the service as processes of this machine; what they build are the cluster's pods."""

    folder: Path
    secrets: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    replicas: list[ServiceProcess] = field(default_factory=list)
    database_uri: str = ""

    def prepare(self) -> None:
        """Make the namespace with the service's account, which may do what the service says it needs."""
        self.database_uri = self.surroundings.new_database()
        control_plane = self.surroundings.cluster.control_plane
        control_plane.make_namespace(self.namespace)
        rules = [
            {"apiGroups": [item.api_group], "resources": [item.resource], "verbs": list(item.verbs)}
            for item in PERMISSIONS
        ]
        objects: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "image-builder-builds"}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": ACCOUNT},
                "rules": rules,
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": ACCOUNT},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
                "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}],
            },
        ]
        control_plane.create(yaml.safe_dump_all(objects), self.namespace)

    def start(self, replicas: int = 1, template: dict[str, Any] | None = None, **settings: str) -> None:
        """Start the service; the settings are also those of its pods.

        Args:
            replicas: how many.
            template: changes to the build container of the template.
            settings: further variables.
        """
        registry = self.surroundings.registry
        common = {
            **self.secrets,
            "DCRX_KV_DATABASE_URI": self.database_uri,
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/{self.namespace}",
            "DCRX_KV_REGISTRY_ENDPOINTS": json.dumps({registry: f"http://{registry}"}),
            "DCRX_KV_JOB_WORKERS": "1",
            "DCRX_KV_JOB_LEASE": "60s",  # longer than a busy machine stalls
            **settings,
        }
        data = {name: base64.b64encode(value.encode()).decode() for name, value in common.items()}
        self.core.create_namespaced_secret(
            self.namespace, {"metadata": {"name": "image-builder"}, "data": data}
        )
        environment = {
            **common,
            "DCRX_KV_ADMIN_USERNAME": ADMIN,
            "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
            "DCRX_KV_BUILDS": "kubernetes",
            "DCRX_KV_CLUSTER_JOB_TEMPLATE": str(self._write_template(template or {})),
            "DCRX_KV_CLUSTER_NAMESPACE": self.namespace,
            "DCRX_KV_CLUSTER_CREDENTIALS": str(self._write_credentials()),
            "KUBERNETES_SERVICE_HOST": self.surroundings.cluster.node.address,
            "KUBERNETES_SERVICE_PORT": str(self.surroundings.cluster.control_plane.port),
        }
        for number in range(replicas):
            folder = self.folder / f"replica-{number}"
            folder.mkdir()
            script = ["-c", RUN, "server", "run", "--port", "PORT"]
            self.replicas.append(self.stack.enter_context(service_process(script, environment, folder)))

    def end(self) -> None:
        """End the replicas and remove the namespace; pods are not waited for."""
        self.stack.close()
        self.core.delete_namespace(self.namespace)

    def client(self, replica: int = 0) -> Orders:
        """A client that is signed in."""
        http = self.stack.enter_context(httpx.Client(base_url=self.replicas[replica].url, timeout=60))
        return Orders.signed_in(http, self)

    def state(self) -> str:
        logs = [replica.log.read_text("utf-8", "replace")[-3000:] for replica in self.replicas]
        return "\n".join([super().state(), *logs])

    def _write_template(self, changes: dict[str, Any]) -> Path:
        template = yaml.safe_load(TEMPLATE.read_text("utf-8"))
        container = template["spec"]["template"]["spec"]["containers"][0]
        container.update({"image": self.surroundings.image, **changes})
        path = self.folder / "job-template.yaml"
        path.write_text(yaml.safe_dump(template), encoding="utf-8")
        return path

    def _write_credentials(self) -> Path:
        control_plane = self.surroundings.cluster.control_plane
        folder = self.folder / "credentials"
        folder.mkdir()
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(control_plane.token(self.namespace, ACCOUNT), encoding="ascii")
        (folder / "ca.crt").write_bytes(control_plane.authority.read_bytes())
        return folder
