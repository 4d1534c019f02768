"""What EKS adds to an API server: tokens that are signed requests to STS. And what makes pods ready."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from support.kube.control_plane import ControlPlane

PREFIX = "k8s-aws-v1."
STS = "sts.us-east-1.amazonaws.com"


def access_key_of(token: str) -> str | None:
    """Whose token this is, as aws-iam-authenticator would find out by sending it to STS; None: refused."""
    text = token.removeprefix(PREFIX)
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    sound = (
        token.startswith(PREFIX)
        and (url.scheme, url.netloc) == ("https", STS)
        and query["Action"] == "GetCallerIdentity"
        and "x-k8s-aws-id" in query["X-Amz-SignedHeaders"].split(";")
        and int(query["X-Amz-Expires"]) <= 900
    )
    return query["X-Amz-Credential"].partition("/")[0] if sound else None


@contextmanager
def authenticator(administrators: set[str]) -> Iterator[str]:
    """The address of a webhook that takes the tokens of these access keys, and no others."""

    class Review(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = access_key_of(asked["spec"]["token"]) in administrators
            user = {"username": "administrator", "groups": ["system:masters"]}
            status: dict[str, Any] = {"authenticated": known, **({"user": user} if known else {})}
            answer = {"apiVersion": asked["apiVersion"], "kind": "TokenReview", "status": status}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Not on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Review)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def pods_become_ready(control_plane: ControlPlane) -> Iterator[None]:
    """In place of controllers and kubelets: says of each Deployment that its pods run."""
    done = threading.Event()
    headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
    trust = ssl.create_default_context(cafile=str(control_plane.authority))
    with httpx.Client(base_url=control_plane.url, headers=headers, verify=trust, timeout=60) as http:

        def work() -> None:
            while not done.wait(0.2):
                for deployment in http.get("/apis/apps/v1/deployments").json().get("items") or []:
                    _make_ready(http, deployment)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _make_ready(http: httpx.Client, deployment: dict[str, Any]) -> None:
    metadata, spec = deployment["metadata"], deployment["spec"]
    if deployment.get("status", {}).get("observedGeneration") == metadata["generation"]:
        return
    count = spec["replicas"]
    base = f"/apis/apps/v1/namespaces/{metadata['namespace']}"
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
    owner |= {"name": metadata["name"], "uid": metadata["uid"]}
    name = f"{metadata['name']}-{metadata['generation']}"
    replica_set = {
        "metadata": {
            "name": name,
            "labels": spec["template"]["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": {"replicas": count, "selector": spec["selector"], "template": spec["template"]},
    }
    http.post(f"{base}/replicasets", json=replica_set).raise_for_status()
    patch = {"Content-Type": "application/merge-patch+json"}
    counts = {"replicas": count, "readyReplicas": count, "availableReplicas": count}
    observed = {"status": {**counts, "observedGeneration": 1}}
    http.patch(f"{base}/replicasets/{name}/status", json=observed, headers=patch).raise_for_status()
    conditions = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]
    status = {
        **counts,
        "updatedReplicas": count,
        "observedGeneration": metadata["generation"],
        "conditions": conditions,
    }
    http.patch(
        f"{base}/deployments/{metadata['name']}/status", json={"status": status}, headers=patch
    ).raise_for_status()
