"""A team that has images built on a cluster: its namespace, its database, its service's replicas."""

import base64
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import yaml
from image_builder.cluster.permissions import PERMISSIONS
from service.database_servers import DatabaseServer
from service.processes import ServiceProcess, service_process

from .cluster import Cluster

TEMPLATE = Path(__file__).resolve().parents[2] / "cluster" / "job-template.yaml"
ACCOUNT = "image-builder"
ADMIN, PASSWORD = "admin", "correct horse battery"
WITHIN = 240.0  # seconds until what has to happen has happened, on a machine that does much else
LOOK = 0.2
RUN = "import sys; from image_builder.service_cli import main; sys.exit(main())"
FINAL = ("DONE", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Surroundings:
    """What all teams share.

    Attributes:
        image: the service's, in the node's container engine.
        registry: `host:port` by which pods and this machine reach it.
        base: an image in it that runs.
        database_address: `host:port` of the database's server for pods and this machine.
    """

    cluster: Cluster
    image: str
    registry: str
    base: str
    database: DatabaseServer
    database_address: str


@dataclass
class Team:
    """Starts replicas of the service as processes of this machine; what they build are the cluster's pods."""

    surroundings: Surroundings
    namespace: str
    folder: Path
    secrets: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    replicas: list[ServiceProcess] = field(default_factory=list)
    database_uri: str = ""

    def prepare(self) -> None:
        """Make the namespace with the service's account, which may do what the service says it needs."""
        server, address = self.surroundings.database, self.surroundings.database_address
        self.database_uri = server.new_database().replace(f"127.0.0.1:{server.port}", address)
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
            "DCRX_KV_JOB_LEASE": "5s",
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

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        return self.surroundings.cluster.control_plane.core()

    def pods(self) -> list[Any]:
        """The pods of builds."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector="image-builder/job")
        return list(found.items)

    def jobs(self) -> list[Any]:
        """The Jobs of builds."""
        batch = kubernetes.client.BatchV1Api(self.surroundings.cluster.control_plane.admin)
        return list(batch.list_namespaced_job(self.namespace).items)

    def client(self, replica: int = 0) -> "TeamClient":
        """A client that is signed in."""
        http = self.stack.enter_context(httpx.Client(base_url=self.replicas[replica].url, timeout=60))
        answer = http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return TeamClient(http, self)

    def request(self, name: str, *layers: dict[str, Any]) -> dict[str, Any]:
        """An image on the base that runs."""
        stage = {"layer_type": "stage", "base": self.surroundings.base.rpartition(":")[0], "tag": "1"}
        return {"name": name, "tag": "1", "layers": [stage, *layers]}

    def state(self) -> str:
        """For the message of a test that fails."""
        pods = [json.dumps(pod.status.to_dict(), default=str)[:1500] for pod in self.pods()]
        logs = [replica.log.read_text("utf-8", "replace")[-3000:] for replica in self.replicas]
        return "\n".join([*pods, *logs])

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


@dataclass(frozen=True)
class TeamClient:
    """Orders images by one replica."""

    http: httpx.Client
    team: Team

    def create(self, request: dict[str, Any]) -> str:
        """Order an image; the job's id."""
        answer = self.http.post("/jobs/images/create", json=request)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def get(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/jobs/images/{job_id}/get")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def log(self, job_id: str) -> str:
        answer = self.http.get(f"/jobs/images/{job_id}/logs/text")
        assert answer.status_code == 200, answer.text
        return answer.text

    def cancel(self, job_id: str) -> dict[str, Any]:
        answer = self.http.delete(f"/jobs/images/{job_id}/cancel")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        wait_until(lambda: self.get(job_id)["status"] in FINAL, self.team)
        return self.get(job_id)


def wait_until(condition: Callable[[], bool], team: Team) -> None:
    """Wait until it holds."""
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, team.state()
        time.sleep(LOOK)
