"""The charts that the repository's data files name, made from their facts and served on loopback."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from dockerimage_replication.charts.archive import read_chart
from dockerimage_replication.charts.fetched import FetchedChart
from dockerimage_replication.datafiles import DataFiles, Workload
from replication_support import ChartServer, chart_files, packed

DATA = Path(__file__).parents[3] / "data/eks_dockerimage-replication/versions"
FACTS = Path(__file__).with_name("chart_facts")

Facts = Mapping[str, Any]


def facts_file(workload: Workload) -> Path:
    """The file with the facts of a workload's chart."""
    return FACTS / f"{workload.chart}-{workload.version}.yaml"


@cache
def facts(path: Path) -> Facts:
    """What is known of a chart."""
    content: Facts = yaml.safe_load(path.read_text("utf-8"))
    return content


def named_images(chart: Facts) -> set[str]:
    """The images of a chart that have to be replicated, by tag: digests are taken out of the values."""
    images = [*chart["images"], *chart.get("also", {}).get("images", [])]
    return {image.partition("@")[0] for image in images if image not in chart.get("left_out", {})}


@cache
def archive(path: Path) -> bytes:
    """A chart with the metadata, the subcharts and the values of its facts, and nothing else."""
    known = facts(path)
    name = str(known["chart"]["name"])
    files = chart_files(**known["chart"], values=known["values"])
    for subchart in {item["name"]: item for item in known.get("subcharts", {}).values()}.values():
        for file, content in chart_files(**subchart).items():
            files[f"{name}/charts/{file}"] = content
    return packed(files)


def fetched(data: DataFiles) -> dict[str, FetchedChart]:
    """The charts of all workloads, as if they had been fetched."""
    archives = {workload.key: archive(facts_file(workload)) for workload in data.workloads}
    return {key: FetchedChart(read_chart(content), content) for key, content in archives.items()}


@contextmanager
def served(workloads: list[Workload]) -> Iterator[str]:
    """Serve charts under the addresses of their repositories; gives the parameter `registry-endpoints`."""
    with ChartServer() as server:
        indexes: dict[str, dict[str, list[dict[str, object]]]] = {}
        for workload in {(item.repository, item.chart, item.version): item for item in workloads}.values():
            url = urlsplit(workload.repository)
            folder = f"/{url.hostname}{url.path.rstrip('/')}"
            file = f"{workload.chart}-{workload.version}.tgz"
            server.files[f"{folder}/{file}"] = archive(facts_file(workload))
            entry: dict[str, object] = {"name": workload.chart, "version": workload.version, "urls": [file]}
            indexes.setdefault(folder, {}).setdefault(workload.chart, []).append(entry)
        for folder, entries in indexes.items():
            index = yaml.safe_dump({"apiVersion": "v1", "entries": entries})
            server.files[f"{folder}/index.yaml"] = index.encode()
        hosts = {urlsplit(workload.repository).hostname for workload in workloads}
        yield json.dumps({host: f"http://{server.address}/{host}" for host in hosts})
