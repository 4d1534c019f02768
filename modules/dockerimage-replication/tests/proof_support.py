"""Charts with templates, and a resolution of them, for the tests of the proof."""

from collections.abc import Mapping
from typing import Any

import yaml
from dockerimage_replication import datafiles
from dockerimage_replication.charts.archive import read_chart
from dockerimage_replication.charts.fetched import FetchedChart
from dockerimage_replication.datafiles import DataFiles
from dockerimage_replication.resolve import Resolution, Target, resolve
from dockerimage_replication.schema import DefaultFile, VersionFile
from replication_support import ECR_HOST, chart_files, packed

PRIVATE = f"{ECR_HOST}/idf-quay.io/team/app:v1"

# The chart's own image, whose parts the data files name.
VALUES: dict[str, Any] = {"image": {"registry": "quay.io", "repository": "team/app", "tag": "v1"}}
IMAGES: dict[str, Any] = {
    "app": {part: {"location": "values", "path": f"image.{part}"} for part in VALUES["image"]}
}
REFERENCE = "{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}"


def templated(
    templates: Mapping[str, str], *, values: Mapping[str, object] = VALUES, version: str = "1.0.0"
) -> bytes:
    """A packed chart `app` with templates (`pod.yaml`) and other files (`crds/x.yaml`, `x.json`)."""
    files = chart_files("app", version, values=values)
    for path, content in templates.items():
        is_template = path.endswith(".yaml") and "/" not in path
        files[f"app/templates/{path}" if is_template else f"app/{path}"] = content.encode()
    return packed(files)


def data_files(**workload: object) -> DataFiles:
    """Data files with the one workload `app`."""
    entry = {"name": "app", "repository": "https://charts.example/stable", "version": "1.0.0", **workload}
    default = DefaultFile.model_validate({"charts": {"app": {"images": IMAGES, **entry}}})
    data, problems = datafiles.combined(default, VersionFile(), "1.33")
    assert not problems
    return data


def resolved(data: DataFiles, archive: bytes) -> Resolution:
    """What a run with this chart would replicate."""
    fetched = FetchedChart(read_chart(archive), archive)
    return resolve(data, {"app": fetched}, Target(ECR_HOST, "idf"))


def manifest(kind: str, **tree: object) -> str:
    """An object named `x`, as a template writes it."""
    return yaml.safe_dump({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **tree}, width=1000)


def pod(image: str = REFERENCE, **spec: object) -> str:
    """A pod with one container."""
    return manifest("Pod", spec={"containers": [{"name": "app", "image": image}], **spec})
