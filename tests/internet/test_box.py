"""Starting, publishing and stopping, once and again."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest
from localcloud.errors import LocalCloudError
from localcloud.internet import box
from localcloud.internet.publish import publish
from localcloud.services import Service, Services


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def services_in(state: Path) -> Services:
    return Services(state / "run", state / "logs")


def pids(state: Path) -> set[int]:
    return {service.pid for service in services_in(state).running()}


def test_start_is_idempotent_and_stop_ends_everything(
    cache_dir: Path, content: box.Content, tmp_path: Path, ports: box.Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/nonexistent")
    monkeypatch.setenv("REGISTRY_HTTP_ADDR", "0.0.0.0:1")
    said: list[str] = []
    try:
        first = box.start(services_in(tmp_path), tmp_path, cache_dir, ports, said.append)
        assert {service.name for service in first} == {"source-registry", "chart-server"}
        assert sum(line.startswith("publishing") for line in said) == 6
        said.clear()
        assert box.start(services_in(tmp_path), tmp_path, cache_dir, ports, said.append) == first
        assert said == []
    finally:
        services_in(tmp_path).stop_all()
    assert services_in(tmp_path).running() == []
    assert not any(service.alive for service in first)
    assert services_in(tmp_path).stop_all() == []


def test_dead_service_is_started_again_with_its_content(
    running_box: tuple[Path, box.Ports], cache_dir: Path
) -> None:
    state, ports = running_box
    before = pids(state)
    services_in(state).stop("source-registry")
    said: list[str] = []
    box.start(services_in(state), state, cache_dir, ports, said.append)
    assert said == []
    assert len(pids(state) - before) == 1
    assert get(ports.registry, "/v2/docker.io/library/busybox/tags/list")[0] == 200


def test_publishing_twice_pushes_nothing_again(
    running_box: tuple[Path, box.Ports], content: box.Content
) -> None:
    _, ports = running_box
    url = box.endpoints(ports)["internet.local"]
    for layout in (content.images, content.charts.layout):
        pushed = asyncio.run(publish(layout, url, print))
        assert (pushed.tags, pushed.manifests, pushed.blobs) == ([], [], [])


def test_registry_has_every_reference(running_box: tuple[Path, box.Ports], cache_dir: Path) -> None:
    _, ports = running_box
    catalog = json.loads(get(ports.registry, "/v2/_catalog")[1])["repositories"]
    assert set(catalog) == {reference.rpartition(":")[0] for reference in box.references(cache_dir, print)}


def test_services_listen_on_loopback_only(running_box: tuple[Path, box.Ports]) -> None:
    _, ports = running_box
    listening = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, _, port = local.rpartition(":")
            if state == "0A":
                listening[int(port, 16)] = address
    assert {listening[port] for port in (ports.registry, ports.charts)} == {"0100007F"}


def test_private_charts_ask_for_credentials(running_box: tuple[Path, box.Ports]) -> None:
    state, ports = running_box
    right = base64.b64encode(":".join(box.chart_credentials(state)).encode()).decode()
    wrong = base64.b64encode(b"replicator:guess").decode()
    for path in ("/private/index.yaml", "//private/index.yaml", "/stable/../private/index.yaml"):
        assert get(ports.charts, path)[0] == 401
        assert get(ports.charts, path, {"Authorization": f"Basic {wrong}"})[0] == 401
    assert get(ports.charts, "/private/index.yaml", {"Authorization": f"Basic {right}"})[0] == 200
    assert box._auth_file(state).stat().st_mode & 0o777 == 0o600
    password = box.chart_credentials(state)[1]
    for service in services_in(state).running():
        assert password not in Path(f"/proc/{service.pid}/cmdline").read_text()


@pytest.mark.parametrize("path", ["/", "/stable", "/stable/", "/../oci/index.json", "/none/index.yaml"])
def test_nothing_else_is_served(running_box: tuple[Path, box.Ports], path: str) -> None:
    assert get(running_box[1].charts, path)[0] == 404


def test_taken_port_is_named(cache_dir: Path, content: box.Content, tmp_path: Path, ports: box.Ports) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.registry))
        other.listen()
        with pytest.raises(LocalCloudError, match=f"port {ports.registry}"):
            box.start(services_in(tmp_path), tmp_path, cache_dir, ports, lambda _: None)
    assert services_in(tmp_path).running() == []


def test_registry_that_dies_at_once_shows_its_log(
    cache_dir: Path, content: box.Content, tmp_path: Path, ports: box.Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "docker-registry").write_text("#!/bin/sh\necho 'configuration error' >&2\nexit 1\n")
    (tools / "docker-registry").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    with pytest.raises(LocalCloudError, match=r"(?s)source-registry ended.*configuration error"):
        box.start(services_in(tmp_path), tmp_path / "state", cache_dir, ports, lambda _: None)


def test_foreign_process_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    services = services_in(tmp_path)
    services.run.mkdir()
    foreign = Service("source-registry", os.getpid(), 1, "nowhere", str(tmp_path / "log"), ["x"])
    (services.run / "source-registry.json").write_text(json.dumps(asdict(foreign)))
    assert services.running() == []
    assert services.stop_all() == []
    assert list(services.run.iterdir()) == []
