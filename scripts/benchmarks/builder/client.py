"""A client of the service, as light as it can be: what it takes itself is part of the figures."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.errors import LocalCloudError

_WAIT = 20  # seconds that one answer about a job waits for its end
_PATIENCE = 600.0  # seconds that a job may take
_FINAL = ("DONE", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Client:
    """One connection that is kept open."""

    connection: http.client.HTTPConnection
    token: str

    @classmethod
    def signed_in(cls, port: int, user: str, password: str) -> "Client":
        """Sign in."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        body = json.dumps({"username": user, "password": password})
        connection.request("POST", "/users/login", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        cookie = answer.headers.get("Set-Cookie", "")
        answer.read()
        if answer.status != http.client.OK:
            raise LocalCloudError(f"the service refused the login with HTTP {answer.status}")
        return cls(connection, cookie.partition("=")[2].partition(";")[0])

    def order(self, order: Mapping[str, Any]) -> str:
        """Order an image; the job's id."""
        return str(self._ask("POST", "/jobs/images/create", json.dumps(order))["job_id"])

    def wait(self, job: str) -> dict[str, Any]:
        """The job, when it has ended well.

        Raises:
            LocalCloudError: it has ended otherwise, or not at all.
        """
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            found = self._ask("GET", f"/jobs/images/{job}/get?wait={_WAIT}")
            if found["status"] in _FINAL:
                if found["status"] != "DONE":
                    raise LocalCloudError(f"job {job} ended {found['status']}: {found['context']}")
                return found
        raise LocalCloudError(f"job {job} did not end within {_PATIENCE:.0f} s")

    def build(self, order: Mapping[str, Any]) -> tuple[float, str]:
        """Order an image and wait until it is pushed; seconds, from before the request, and its digest."""
        begun = time.perf_counter()
        done = self.wait(self.order(order))
        return time.perf_counter() - begun, str(done["digest"])

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise LocalCloudError(f"{method} {path}: HTTP {answer.status}: {content[:300]!r}")
        value: dict[str, Any] = json.loads(content)
        return value
