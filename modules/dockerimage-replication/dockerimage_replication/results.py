"""The files that a run leaves: inventory (`replication_result.json`), `updated_images.json`, and the lock."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from .charts.oci import SCHEME
from .datafiles import DataFiles
from .lock import Lock
from .resolve import Image, Resolution, ResolvedChart
from .shared.errors import UserError

RESULT_FILE = Path("replication_result.json")
IMAGES_FILE = Path("updated_images.json")
LOCK_FILE = Path("replication_lock.json")
JOURNAL_FILE = Path("replication_uploads.journal")

# Those who install charts put the whole inventory into one environment variable. Linux caps such a
# string at 128 KiB with the variable's name (execve(2), MAX_ARG_STRLEN), hence the room for a name.
MAX_INVENTORY = 128 * 1024 - 256  # bytes


def inventory(data: DataFiles, resolution: Resolution) -> dict[str, object]:
    """Charts with their value overrides, additional images, and the private copy of every image."""
    return {
        "ami": {"version": data.ami_version} if data.ami_version else {},
        "charts": {chart.workload.key: _chart(chart) for chart in resolution.charts},
        "additional_images": dict(resolution.additional_images),
        "images": {image.source: image.private for image in resolution.images},
    }


def updated_images(images: Iterable[Image]) -> list[dict[str, str]]:
    """Where every image was fetched from and where it is now, each pair once."""
    pairs = sorted({(str(image.address), image.private) for image in images})
    return [{"src": source, "target": target} for source, target in pairs]


def compact(inventory: Mapping[str, object]) -> bytes:
    """The inventory as it is uploaded.

    Raises:
        UserError: it is too large for those who read it.
    """
    content = json.dumps(inventory, sort_keys=True, separators=(",", ":")).encode()
    if len(content) > MAX_INVENTORY:
        raise UserError(
            f"the inventory has {len(content)} bytes, and the module that installs the charts can take at "
            f"most {MAX_INVENTORY}: replicate fewer workloads, or shorten their `values`"
        )
    return content


def write(inventory: Mapping[str, object], images: list[dict[str, str]], lock: Lock) -> None:
    """Write the files next to the module, for people to read."""
    RESULT_FILE.write_text(json.dumps(inventory, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    IMAGES_FILE.write_text(json.dumps(images, indent=2) + "\n", encoding="utf-8")
    LOCK_FILE.write_bytes(lock.serialise())


def _chart(chart: ResolvedChart) -> dict[str, object]:
    return {
        "helm": {
            "name": chart.workload.chart,
            "version": chart.version,
            "repository": f"{SCHEME}{chart.host}/{chart.repository}",
            "srcRepository": chart.workload.repository,
        },
        "values": chart.values,
    }
