"""The few calls of the Kubernetes API that builds need, with the account of the service's own pod.

https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/ (the same in every version since 1.16).
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from .template import INSTANCE_LABEL, MANAGER, MANAGER_LABEL

Manifest = Mapping[str, Any]

TIMEOUT = 10.0  # seconds; the service looks again anyway
PAGE = 500  # objects in one answer


class ClusterError(Exception):
    """The API server refuses, or does not answer; the text is for the service's log."""


class ClusterApi:
    """Jobs and pods of one namespace; an asynchronous context manager that owns the connections.

    Args:
        host: name or address of the API server.
        port: where it listens.
        credentials: folder with `token` and `ca.crt`.
        namespace: of the Jobs.
        instance: whose Jobs these are, when the namespace has several services.
        owner: name of the ConfigMap with which the Jobs go, when there is one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        credentials: Path,
        namespace: str,
        instance: str | None,
        owner: str | None,
    ) -> None:
        address = f"[{host}]" if ":" in host else host
        self._token = credentials / "token"
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._owner = f"/api/v1/namespaces/{namespace}/configmaps/{owner}" if owner else None
        labels = {MANAGER_LABEL: MANAGER} | ({INSTANCE_LABEL: instance} if instance else {})
        self._selector = ",".join(f"{label}={value}" for label, value in labels.items())
        self._http = httpx.AsyncClient(
            base_url=f"https://{address}:{port}",
            verify=_trust(credentials / "ca.crt"),
            timeout=TIMEOUT,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def jobs(self) -> list[Manifest]:
        """The Jobs that this service (all its replicas) has made.

        Raises:
            ClusterError: the API server refuses, or does not answer.
        """
        return await self._list(self._jobs)

    async def pods(self) -> list[Manifest]:
        """Their pods.

        Raises:
            ClusterError: the API server refuses, or does not answer.
        """
        return await self._list(self._pods)

    async def owners(self) -> list[Manifest]:
        """What Jobs that are made now belong to, as `ownerReferences`: the cluster removes them with it.

        Raises:
            ClusterError: the owner is gone; or the API server refuses, or does not answer.
        """
        if self._owner is None:
            return []
        # Asked each time: one that was made anew has another uid, and with the old one Jobs would go at once.
        found = (await self._call("GET", self._owner, expected=(200,))).json()["metadata"]
        return [{"apiVersion": "v1", "kind": "ConfigMap", "name": found["name"], "uid": found["uid"]}]

    async def create_job(self, job: Manifest) -> None:
        """Make a Job, unless there is one of its name.

        Raises:
            ClusterError: the API server refuses, or does not answer.
        """
        await self._call("POST", self._jobs, expected=(200, 201, 202, 409), body=job)

    async def delete_job(self, name: str) -> None:
        """Delete a Job, if it is there, and with it its pods.

        Raises:
            ClusterError: the API server refuses, or does not answer.
        """
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self._call("DELETE", f"{self._jobs}/{name}", expected=(200, 202, 404), body=body)

    async def _list(self, path: str) -> list[Manifest]:
        found: list[Manifest] = []
        parameters = {"labelSelector": self._selector, "limit": str(PAGE)}
        while True:
            page = (await self._call("GET", path, expected=(200,), parameters=parameters)).json()
            found += page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return found
            parameters["continue"] = following

    async def _call(
        self,
        method: str,
        path: str,
        *,
        expected: tuple[int, ...],
        body: Manifest | None = None,
        parameters: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            # The platform replaces the token while the service runs.
            headers = {"Authorization": f"Bearer {self._token.read_text('ascii').strip()}"}
            answer = await self._http.request(method, path, json=body, params=parameters, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise ClusterError(f"{method} {path}: {type(error).__name__}: {error}") from None
        if answer.status_code not in expected:
            raise ClusterError(f"{method} {path}: {answer.status_code}: {answer.text[:500]}")
        return answer


def instance_of(template: Manifest) -> str | None:
    """The instance that a template's Jobs belong to, by its label."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    return labels.get(INSTANCE_LABEL)


def _trust(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))
