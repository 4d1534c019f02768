"""The ConfigMap in the pod's own namespace, through the Kubernetes API.

Plain HTTP, because loading the official client takes more than a second of processor time and 100 MiB,
for two requests. The pod's Role allows `list` and `patch`, so nothing else is used; `list` has the
ConfigMap's name as its field selector, which a Role's `resourceNames` can allow (Kubernetes
documentation, Using RBAC Authorization, Referring to resources).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..aws_http import RefusedError, UnreachableError, request
from .errors import PublicationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
SECONDS = 3.0  # for each answer
MERGE_PATCH = "application/merge-patch+json"


class ConfigMap:
    """Makes a ConfigMap hold values, beside others that it may have."""

    def __init__(
        self, config_map: str, environment: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self.name = f"ConfigMap {config_map}"
        self._config_map = config_map
        self._environment = environment
        self._service_account = service_account

    def ensure(self, values: Mapping[str, str]) -> None:
        """Write the values unless they are there.

        Raises:
            PublicationError: they are not there.
        """
        if not _holds(self._data(), values):
            self._patch(values)

    def _data(self) -> dict[str, str]:
        selector = urlencode({"fieldSelector": f"metadata.name={self._config_map}"})
        items = self._call("GET", f"?{selector}").get("items")
        if not items:
            raise PublicationError(self._absent())
        return dict(items[0].get("data") or {})

    def _patch(self, values: Mapping[str, str]) -> None:
        patched = self._call("PATCH", f"/{self._config_map}", json.dumps({"data": dict(values)}).encode())
        if not _holds(patched.get("data") or {}, values):
            raise PublicationError("the API server took the values and does not have them")

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"{self._server()}/api/v1/namespaces/{self._file('namespace')}/configmaps{path}"
        # Token and authority are read each time: the kubelet replaces both before they expire.
        headers = {"Authorization": f"Bearer {self._file('token')}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = MERGE_PATCH
        try:
            answer = request(method, url, headers, body, proxied=False, trust=self._trust(), seconds=SECONDS)
        except UnreachableError as error:
            raise PublicationError(f"the Kubernetes API server at {error}") from None
        except RefusedError as error:
            raise PublicationError(self._refusal(error, "list" if body is None else "patch")) from None
        document = _document(answer)
        if document is None:
            raise PublicationError("what answers in place of the Kubernetes API server sends no JSON object")
        return document

    def _server(self) -> str:
        host, port = self._environment.get(HOST), self._environment.get(PORT)
        if not host or not port:
            raise PublicationError(f"{HOST} and {PORT} are not set: this is no pod of Kubernetes")
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def _trust(self) -> ssl.SSLContext:
        authority = self._service_account / "ca.crt"
        try:
            trust = ssl.create_default_context(cafile=str(authority))
        except (OSError, ssl.SSLError) as error:
            raise PublicationError(f"{authority} cannot be used: {error}") from None
        # Python 3.13 asks for extensions that certificates of clusters, EKS's among them, may lack.
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return trust

    def _file(self, name: str) -> str:
        path = self._service_account / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise PublicationError(
                f"{path} cannot be read ({error.strerror}): the pod needs automountServiceAccountToken: true"
            ) from None

    def _refusal(self, refused: RefusedError, verb: str) -> str:
        said = (_document(refused.body) or {}).get("message") or "no message"
        if refused.status == 401:
            return "the Kubernetes API server does not accept the pod's token (401): it is expired or revoked"
        if refused.status == 403:
            return (
                f"the pod's service account may not {verb} it (403), as the chart's Role would allow: {said}"
            )
        if refused.status == 404:
            return self._absent()
        return f"the Kubernetes API server answers {verb} with status {refused.status}: {said}"

    def _absent(self) -> str:
        return f"it does not exist in the namespace {self._file('namespace')}; the chart makes it"


def _holds(data: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all(data.get(key) == value for key, value in values.items())


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
