"""A chart as it was given: an archive, or a folder that is packed in memory."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

from dockerimage_replication.charts.archive import Chart, ChartError, read_chart

from .errors import ChartFactsError

_READ = ("Chart.yaml", "values.yaml")


def chart_at(path: Path, version: str | None = None, app_version: str | None = None) -> Chart:
    """Read the chart in an archive (`.tgz`) or an unpacked folder.

    Args:
        path: the archive or folder.
        version: its version, where the folder's `Chart.yaml` has a placeholder that is replaced on release.
        app_version: likewise its appVersion.

    Raises:
        ChartFactsError: there is no chart.
    """
    try:
        chart = read_chart(_packed(path) if path.is_dir() else path.read_bytes())
    except (ChartError, OSError) as error:
        raise ChartFactsError(f"{path} is not a chart's archive or folder: {error}") from None
    given = {"version": version, "appVersion": app_version}
    metadata = {**chart.metadata, **{key: value for key, value in given.items() if value}}
    return replace(chart, metadata=metadata)


def _packed(folder: Path) -> bytes:
    """The files of a chart's folder that the reader looks at; links to elsewhere stay out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            wanted = path.name in _READ or (path.suffix == ".tgz" and path.parent.name == "charts")
            if wanted and path.is_file() and not path.is_symlink():
                tar.add(path, str(Path("chart") / path.relative_to(folder)))
    return buffer.getvalue()
