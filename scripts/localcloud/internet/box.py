"""The box as the local cloud uses it: make its content, start it, stop it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud.services import Service, Services, answers

from . import registry, standin
from .charts import Charts, build_charts
from .images import build_images
from .oci import Layout
from .publish import publish

Progress = Callable[[str], None]

CHART_SERVER = "chart-server"
REGISTRY_HOST = "internet.local"
CHARTS_HOST = "charts.internet.local"
_PACKAGES = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ports:
    """The ports on 127.0.0.1 that the box listens on."""

    registry: int
    charts: int


@dataclass(frozen=True)
class Content:
    """Everything that the box offers, as it lies in the cache."""

    images: Layout
    charts: Charts


def ensure_content(cache_dir: Path, progress: Progress) -> Content:
    """Build images and charts into the cache, unless they are there."""
    images = build_images(cache_dir, progress)
    return Content(images, build_charts(cache_dir, images, progress))


def references(cache_dir: Path, progress: Progress) -> dict[str, str]:
    """Return the digest of every image and OCI chart of the box by its public reference."""
    content = ensure_content(cache_dir, progress)
    everything = {**content.images.references, **content.charts.layout.references}
    return {reference: descriptor.digest for reference, descriptor in everything.items()}


def endpoints(ports: Ports) -> dict[str, str]:
    """Return where the box's two host names are really served."""
    return {
        REGISTRY_HOST: f"http://127.0.0.1:{ports.registry}",
        CHARTS_HOST: f"http://127.0.0.1:{ports.charts}",
    }


def variables(cache_dir: Path, ports: Ports, progress: Progress) -> dict[str, str]:
    """Return what manifests of the local cloud ask the environment for."""
    content = ensure_content(cache_dir, progress)
    return standin.variables(content.charts.http, f"http://127.0.0.1:{ports.charts}")


def start(
    services: Services, state_dir: Path, cache_dir: Path, ports: Ports, progress: Progress
) -> list[Service]:
    """Start what is not running yet and publish what is not there yet.

    Not to be called from inside a running event loop.
    """
    content = ensure_content(cache_dir, progress)
    state_dir.mkdir(parents=True, exist_ok=True)
    started = [
        registry.ensure(services, state_dir / "registry", ports.registry),
        _ensure_chart_server(services, state_dir, content.charts, ports.charts),
    ]
    for layout in (content.images, content.charts.layout):
        asyncio.run(publish(layout, endpoints(ports)[REGISTRY_HOST], progress))
    return started


def chart_credentials(state_dir: Path) -> tuple[str, str]:
    """Return name and password of the private chart repository; they are made at the first call."""
    path = _auth_file(state_dir)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(f"replicator:{secrets.token_urlsafe(18)}\n")
        temporary.replace(path)
    name, _, password = path.read_text().strip().partition(":")
    return name, password


def _auth_file(state_dir: Path) -> Path:
    return state_dir / "chart-credentials"


def _ensure_chart_server(services: Services, state_dir: Path, charts: Charts, port: int) -> Service:
    chart_credentials(state_dir)
    command = [
        *(sys.executable, "-P", "-m", "localcloud.internet.chart_server"),
        *("--port", str(port), "--root", str(charts.http.resolve())),
        *("--auth-file", str(_auth_file(state_dir).resolve())),
    ]
    environment = {**os.environ, "PYTHONPATH": str(_PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"}
    ready = answers(port, "/stable/index.yaml")
    return services.ensure(CHART_SERVER, command, environment, f"http://127.0.0.1:{port}", ready, port)
