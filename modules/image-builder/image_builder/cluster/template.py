"""From the administrator's template to the Job of one attempt."""

import copy
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from ..shared.errors import ParameterError

MANAGER_LABEL = "app.kubernetes.io/managed-by"
INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGER = "image-builder"
JOB_LABEL = "image-builder/job"
ATTEMPT_LABEL = "image-builder/attempt"

_SETTING = "DCRX_KV_CLUSTER_JOB_TEMPLATE"


def read_template(path: Path) -> dict[str, Any]:
    """The Job that an administrator has written.

    Raises:
        ParameterError: it cannot be read, or is no Job with a container.
    """
    try:
        template = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"{_SETTING}: the file {path} cannot be read: {error}") from None
    if not isinstance(template, dict) or (template.get("apiVersion"), template.get("kind")) != (
        "batch/v1",
        "Job",
    ):
        raise ParameterError(f"{_SETTING}: the file {path} must hold one Job of batch/v1")
    try:
        container = template["spec"]["template"]["spec"]["containers"][0]
    except (KeyError, IndexError, TypeError):
        container = None
    if not isinstance(container, dict):
        raise ParameterError(f"{_SETTING}: the Job in {path} has no container")
    return template


def job_name(job_id: uuid.UUID, attempt: int) -> str:
    """The Job's name: the same for the same attempt, so that making it twice makes it once."""
    return f"build-{job_id}-{attempt}"


def job_of(
    template: Mapping[str, Any],
    job_id: uuid.UUID,
    attempt: int,
    deadline: timedelta,
    owners: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The Job of one attempt.

    Args:
        template: what the administrator decides.
        job_id: which job its pod builds.
        attempt: number of the attempt, from 1.
        deadline: after which the cluster itself ends the pod.
        owners: with which the Job goes.
    """
    job = copy.deepcopy(dict(template))
    labels = {MANAGER_LABEL: MANAGER, JOB_LABEL: str(job_id), ATTEMPT_LABEL: str(attempt)}
    metadata = job.setdefault("metadata", {})
    metadata.pop("generateName", None)
    metadata.pop("namespace", None)
    metadata["name"] = job_name(job_id, attempt)
    if owners:
        metadata["ownerReferences"] = [dict(owner) for owner in owners]
    _label(metadata, labels)
    spec = job["spec"]
    spec["backoffLimit"] = 0
    spec["activeDeadlineSeconds"] = int(deadline.total_seconds())
    instance = metadata["labels"].get(INSTANCE_LABEL)
    _label(
        spec["template"].setdefault("metadata", {}), labels | ({INSTANCE_LABEL: instance} if instance else {})
    )
    pod = spec["template"]["spec"]
    pod["restartPolicy"] = "Never"
    container = pod["containers"][0]
    container["args"] = ["job", "run", str(job_id)]
    # The end of its output, which the service writes to its own log when the pod fails.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    return job


def _label(metadata: dict[str, Any], labels: Mapping[str, str]) -> None:
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
