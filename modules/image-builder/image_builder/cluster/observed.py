"""What the API server says of Jobs and pods, as far as it matters here."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .template import ATTEMPT_LABEL, JOB_LABEL

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class ClusterJob:
    """A Job of ours.

    Attributes:
        name: its own name.
        job_id: the job that its pod builds.
        attempt: the attempt that it was made for.
        started_at: when the cluster began with it, in milliseconds since 1970; None while it is held back
            (by Kueue, or because no controller has seen it yet).
        ended: nothing more comes of it.
        reason: why it failed, in the cluster's words.
    """

    name: str
    job_id: uuid.UUID
    attempt: int
    started_at: int | None
    ended: bool
    reason: str


def cluster_job(manifest: Manifest) -> ClusterJob | None:
    """The Job, or None when it is being deleted or its labels are not ours."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    labels = metadata.get("labels") or {}
    try:
        job_id, attempt = uuid.UUID(labels[JOB_LABEL]), int(labels[ATTEMPT_LABEL])
    except (KeyError, ValueError):
        return None
    if metadata.get("deletionTimestamp"):
        return None
    conditions = {item["type"]: item for item in status.get("conditions") or () if item["status"] == "True"}
    failed = conditions.get("Failed")
    return ClusterJob(
        name=metadata["name"],
        job_id=job_id,
        attempt=attempt,
        started_at=_milliseconds(status.get("startTime")),
        ended=failed is not None or "Complete" in conditions,
        reason=_described(failed) if failed else "",
    )


def pod_reasons(pods: list[Manifest]) -> dict[str, str]:
    """Job name -> why its newest pod does not work; pods that work are left out."""
    reasons: dict[str, str] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))):
        job = (pod["metadata"].get("labels") or {}).get("job-name")
        reason = _pod_reason(pod.get("status") or {})
        if job and reason:
            reasons[job] = reason
    return reasons


def last_words(pods: list[Manifest]) -> dict[str, str]:
    """Job name -> the end of what its pods have written before they failed: for the service's own log."""
    words: dict[str, str] = {}
    for pod in pods:
        job = (pod["metadata"].get("labels") or {}).get("job-name")
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            terminated = (container.get("state") or {}).get("terminated") or {}
            if job and terminated.get("exitCode") and terminated.get("message"):
                words[job] = terminated["message"]
    return words


def _pod_reason(status: Manifest) -> str:
    """OOMKilled, ImagePullBackOff, Evicted, Unschedulable and their like, with what else is said."""
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated and terminated.get("reason") != "Completed":
            code = terminated.get("exitCode")
            return f"{terminated.get('reason') or 'Error'} (exit status {code})"
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return _described(waiting)
    if status.get("reason"):
        return _described(status)
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _described(condition)
    return ""


def _described(what: Manifest) -> str:
    reason, message = what.get("reason") or "", what.get("message") or ""
    return f"{reason}: {message}" if reason and message else reason or message


def _milliseconds(time: str | None) -> int | None:
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else None
