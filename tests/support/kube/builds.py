"""What orders images of a service on a cluster: a namespace with its builds, and a client."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import kubernetes
from service.database_servers import DatabaseServer

from .cluster import Cluster

ADMIN, PASSWORD = "admin", "correct horse battery"
WITHIN = 240.0  # seconds until what has to happen has happened, on a machine that does much else
LOOK = 0.2
FINAL = ("DONE", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Surroundings:
    """What all services of a test run share.

    Attributes:
        image: the service's, in the node's container engine.
        registry: `host:port` by which pods and this machine reach it.
        base: an image in it that runs, and has a shell.
        database_address: `host:port` of the database's server for pods and this machine.
    """

    cluster: Cluster
    image: str
    registry: str
    base: str
    database: DatabaseServer
    database_address: str

    def new_database(self) -> str:
        """The URI of a new, empty database, for pods and this machine."""
        return self.database.new_database().replace(f"127.0.0.1:{self.database.port}", self.database_address)


@dataclass
class Builds:
    """A namespace in which a service has images built."""

    surroundings: Surroundings
    namespace: str

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        return self.surroundings.cluster.control_plane.core()

    @property
    def batch(self) -> kubernetes.client.BatchV1Api:
        return kubernetes.client.BatchV1Api(self.surroundings.cluster.control_plane.admin)

    def pods(self) -> list[Any]:
        """The pods of builds."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector="image-builder/job")
        return list(found.items)

    def jobs(self) -> list[Any]:
        """The Jobs of builds."""
        return list(self.batch.list_namespaced_job(self.namespace).items)

    def request(self, name: str, *layers: dict[str, Any]) -> dict[str, Any]:
        """An image on the base that runs."""
        stage = {"layer_type": "stage", "base": self.surroundings.base.rpartition(":")[0], "tag": "1"}
        return {"name": name, "tag": "1", "layers": [stage, *layers]}

    def output_of(self, image: str) -> str:
        """What the image prints as a pod; the node pulls it from the registry."""
        container = {"name": "run", "image": image, "imagePullPolicy": "Always"}
        pod = {"metadata": {"name": "run"}, "spec": {"containers": [container], "restartPolicy": "Never"}}
        self.core.create_namespaced_pod(self.namespace, pod)

        def has_ended() -> bool:
            phase = self.core.read_namespaced_pod("run", self.namespace).status.phase
            return phase in ("Succeeded", "Failed")

        wait_until(has_ended, self)
        # Not the client's own text, which is that of a bytes object.
        answer = self.core.read_namespaced_pod_log("run", self.namespace, _preload_content=False)
        self.core.delete_namespaced_pod("run", self.namespace)
        return str(answer.data.decode())

    def state(self) -> str:
        """For the message of a test that fails."""
        return "\n".join(json.dumps(pod.status.to_dict(), default=str)[:1500] for pod in self.pods())


@dataclass(frozen=True)
class Orders:
    """A client that is signed in."""

    http: httpx.Client
    builds: Builds

    @classmethod
    def signed_in(cls, http: httpx.Client, builds: Builds) -> "Orders":
        """Sign in as the first administrator."""
        answer = http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return cls(http, builds)

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
        wait_until(lambda: self.get(job_id)["status"] in FINAL, self.builds)
        return self.get(job_id)


def wait_until(condition: Callable[[], bool], builds: Builds) -> None:
    """Wait until it holds."""
    end = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < end, builds.state()
        time.sleep(LOOK)
