"""From a chart to its facts: metadata, subcharts, and the values that images are made of."""

import re
from collections.abc import Mapping

from dockerimage_replication.charts.archive import Chart
from dockerimage_replication.values import Values

Facts = dict[str, object]

_METADATA = ("name", "version", "appVersion", "kubeVersion")
_DEPENDENCY = ("name", "version", "alias", "condition", "repository")
# Keys whose values are part of an image's reference, and keys that are so beside one of them.
_PART = re.compile(r"^image(?!.*pull)|(image|registry|repository|tag|digest|sha)$", re.IGNORECASE)
_BESIDE = ("name", "version")


def facts(chart: Chart) -> Facts:
    """What a chart says: `chart`, `subcharts` (by the key of their values), `absent` and `values`.

    `absent` has the dependencies that `Chart.yaml` names and the archive does not hold.
    """
    dependencies = _dependencies(chart)
    held = {subchart.name for subchart in chart.subcharts.values()}
    absent = sorted({str(entry["name"]) for entry in dependencies} - held)
    found: Facts = {"chart": _metadata(chart)}
    if dependencies:
        found["chart"] = {**_metadata(chart), "dependencies": dependencies}
    if chart.subcharts:
        found["subcharts"] = {key: _metadata(chart.subcharts[key]) for key in sorted(chart.subcharts)}
    if absent:
        found["absent"] = absent
    return {**found, "values": image_values(chart.values)}


def image_values(values: Values, *, of_image: bool = False) -> dict[str, object]:
    """The scalars of a tree of values that images are made of, in the order of the tree.

    Args:
        values: the tree.
        of_image: whether the key that holds it says already that it is an image's.
    """
    scalars = {key: value for key, value in values.items() if not isinstance(value, Mapping | list)}
    related = of_image or any(_PART.search(key) for key in scalars)
    kept: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            if below := image_values(value, of_image=bool(_PART.search(key))):
                kept[key] = below
        elif key in scalars and (_PART.search(key) or (related and key in _BESIDE)):
            kept[key] = value
    return kept


def _metadata(chart: Chart) -> dict[str, object]:
    return {key: chart.metadata[key] for key in _METADATA if key in chart.metadata}


def _dependencies(chart: Chart) -> list[dict[str, object]]:
    entries = chart.metadata.get("dependencies")
    return [
        {key: entry[key] for key in _DEPENDENCY if key in entry}
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and "name" in entry
    ]
