"""The few calls of the Kubernetes API that helm does not make: namespace, secrets, what is there."""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from ..shared.errors import UserError
from .cluster import EksCluster

TIMEOUT = 30.0  # seconds
FIELD_MANAGER = "airgap-modules"
OWNER = "airgap-modules/owner"
_PARAMETER = "manifest parameter `eks-cluster-name`"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
# What every namespace has, and what only tells of others.
_EVERYWHERE = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ServiceAccount", "default"),
    ("RoleBinding", "system:image-pullers"),
}
_TELLING = {"Event", "PodMetrics", "EndpointSlice", "Endpoints"}
_TOKEN_OF_DEFAULT = "default-token-"  # noqa: S105  the beginning of a name, before Kubernetes 1.24

Object = Mapping[str, Any]


class Namespace:
    """One namespace, seen by who may do everything in it."""

    def __init__(self, http: httpx.Client, name: str, owner: str) -> None:
        self._http = http
        self.name = name
        self._owner = owner
        self._path = f"/api/v1/namespaces/{name}"

    def exists(self) -> bool:
        """Whether it is there.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        return self._get(self._path) is not None

    def ensure(self) -> None:
        """Make it, unless it is there.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        if not self.exists():
            self._call("POST", "/api/v1/namespaces", (201, 409), self._named("Namespace", self.name))

    def is_ours(self, secret: str) -> bool | None:
        """Whether this deployment has made a secret; None when it is not there.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        return self._made_by_us(self._get(f"{self._path}/secrets/{secret}"))

    def put_secret(self, name: str, content: Mapping[str, str]) -> None:
        """Make a secret hold exactly this.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
        body = {**self._named("Secret", name), "type": "Opaque", "data": data}
        path = f"{self._path}/secrets/{name}?fieldManager={FIELD_MANAGER}&force=true"
        self._call("PATCH", path, (200, 201), body)

    def delete_secret(self, name: str) -> None:
        """Delete a secret that this deployment has made.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        if self.is_ours(name):
            self._call("DELETE", f"{self._path}/secrets/{name}", (200, 202, 404))

    def delete_if_ours_and_empty(self) -> str:
        """Delete the namespace when we have made it and nobody else uses it; what became of it.

        Raises:
            UserError: the cluster refuses, or does not answer.
        """
        if not self._made_by_us(self._get(self._path)):
            return f"kept: namespace {self.name}, which this deployment has not made"
        others = sorted(self._objects())
        if others:
            return f"kept: namespace {self.name}, which holds {', '.join(others[:10])}"
        self._call("DELETE", self._path, (200, 202, 404, 409))
        return f"deleted: namespace {self.name}"

    def pod_problems(self, instance: str) -> list[str]:
        """Why pods of a release do not run, each reason once; empty when nobody says."""
        answer = self._get(f"{self._path}/pods?labelSelector=app.kubernetes.io/instance%3D{instance}") or {}
        return sorted({line for pod in answer.get("items", []) for line in _problems(pod)})

    def _objects(self) -> Iterator[str]:
        """Kind and name of everything in the namespace that somebody has put there."""
        for group, resource in self._resources():
            path = f"{group}/namespaces/{self.name}/{resource['name']}"
            for item in (self._get(path) or {}).get("items") or []:
                if _put_there(resource["kind"], item["metadata"]):
                    yield f"{resource['kind']}/{item['metadata']['name']}"

    def _resources(self) -> Iterator[tuple[str, Object]]:
        """Path of the API group, and resource, of what can be listed in a namespace."""
        groups = (self._get("/apis") or {}).get("groups", [])
        paths = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
        for path in paths:
            for resource in (self._get(path) or {}).get("resources", []):
                listed = resource["namespaced"] and "list" in resource["verbs"]
                if listed and "/" not in resource["name"] and resource["kind"] not in _TELLING:
                    yield path, resource

    def _named(self, kind: str, name: str) -> dict[str, Any]:
        metadata = {"name": name, "annotations": {OWNER: self._owner}}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}

    def _made_by_us(self, found: Object | None) -> bool | None:
        if found is None:
            return None
        return (found["metadata"].get("annotations") or {}).get(OWNER) == self._owner

    def _get(self, path: str) -> Object | None:
        answer = self._call("GET", path, (200, 404))
        found: Object | None = answer.json() if answer.status_code == httpx.codes.OK else None
        return found

    def _call(
        self, method: str, path: str, expected: tuple[int, ...], body: Object | None = None
    ) -> httpx.Response:
        kind = _APPLY if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        try:
            answer = self._http.request(method, path, content=content, headers={"Content-Type": kind})
        except httpx.HTTPError as error:
            raise UserError(
                f"{_PARAMETER}: {self._http.base_url} does not answer ({type(error).__name__}: {error}); a "
                "private endpoint is reached from inside its VPC only"
            ) from None
        if answer.status_code not in expected:
            raise UserError(
                f"{_PARAMETER}: the cluster refuses {method} {path.partition('?')[0]}: "
                f"{answer.status_code} {_message(answer)}{_hint(answer)}"
            )
        return answer


@contextmanager
def opened(cluster: EksCluster, namespace: str, owner: str) -> Iterator[Namespace]:
    """A namespace of the cluster.

    Args:
        cluster: of EKS.
        namespace: its name.
        owner: who makes what is made there, as its annotation says.
    """
    trust = ssl.create_default_context(cadata=cluster.authority)
    # A token for a quarter of an hour; between two runs of helm a new one is made.
    with httpx.Client(base_url=cluster.endpoint, verify=trust, timeout=TIMEOUT, auth=_Token(cluster)) as http:
        yield Namespace(http, namespace, owner)


class _Token(httpx.Auth):
    """Signs each request anew, which asks nobody."""

    def __init__(self, cluster: EksCluster) -> None:
        self._cluster = cluster

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._cluster.token()}"
        yield request


def _put_there(kind: str, metadata: Object) -> bool:
    """Whether somebody made this, and it is to stay.

    What belongs to something else, such as a Deployment's ReplicaSets and their Pods, goes with its owner;
    helm does not wait until the cluster has collected it.
    """
    by_kubernetes = (kind, metadata["name"]) in _EVERYWHERE or (
        kind == "Secret" and metadata["name"].startswith(_TOKEN_OF_DEFAULT)
    )
    goes = metadata.get("ownerReferences") or metadata.get("deletionTimestamp")
    return not (by_kubernetes or goes)


def _problems(pod: Object) -> Iterator[str]:
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    for container in containers:
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield f"{container['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"a pod is not scheduled: {condition.get('message', '')}"


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _hint(answer: httpx.Response) -> str:
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return "; give `eks-cluster-admin-role-arn`, or the module's role an access entry of the cluster"
    return ""
