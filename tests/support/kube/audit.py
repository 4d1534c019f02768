"""What a service account has asked of the API server, by the server's own audit log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .cluster import Cluster


@dataclass(frozen=True)
class Account:
    """A service account and what it has asked for."""

    cluster: Cluster
    namespace: str
    name: str

    def used(self) -> set[tuple[str, str, str]]:
        """API group, resource and verb of every request."""
        objects = [(event["objectRef"], event["verb"]) for event in self._requests()]
        return {(ref.get("apiGroup", ""), ref["resource"], verb) for ref, verb in objects}

    def most_jobs(self) -> int:
        """The most Jobs that were there at a moment, by what the account has made and deleted."""
        now = most = 0
        for event in self._requests():
            if event["objectRef"]["resource"] == "jobs" and event["responseStatus"]["code"] < 300:
                now += {"create": 1, "delete": -1}.get(event["verb"], 0)
                most = max(most, now)
        return most

    def refused(self) -> list[tuple[str, int]]:
        """Requests that were answered with another error than that the object is there, or gone, already."""
        answers = [(event["requestURI"], event["responseStatus"]["code"]) for event in self._requests()]
        return [(address, code) for address, code in answers if code >= 400 and code not in (404, 409)]

    def _requests(self) -> Iterator[dict[str, Any]]:
        user = f"system:serviceaccount:{self.namespace}:{self.name}"
        # The last line may be one that is being written.
        for line in self.cluster.audit_log.read_text("utf-8").rpartition("\n")[0].splitlines():
            event: dict[str, Any] = json.loads(line)
            # Whoever is refused for a token that is no longer valid has no name.
            if event["user"].get("username") == user and event["stage"] == "ResponseComplete":
                yield event
