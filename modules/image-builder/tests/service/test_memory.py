"""The service stays small while builds with large layers run: nothing of a layer's size is in its memory."""

import http.server
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .processes import ServiceProcess, open_folder, service_process
from .registries import docker_registry, push_small_image
from .running import ADMIN, PASSWORD
from .test_service_cli import RUN

LONG = bool(os.environ.get("AIRGAP_LONG"))
BUILDS, MEGABYTES = (10, 500) if LONG else (4, 50)
MOST = 200_000_000  # bytes (the number)
ENDS_WITHIN = 3600 if LONG else 300  # seconds
MB = 1_000_000

pytestmark = pytest.mark.engine


class Handler(http.server.BaseHTTPRequestHandler):
    """`/N` is a file of so many megabytes that gzip cannot make smaller, another one for each N."""

    def do_GET(self) -> None:
        block = random.Random(self.path).randbytes(MB)  # noqa: S311  no secret
        self.send_response(200)
        self.send_header("Content-Length", str(MEGABYTES * MB))
        self.end_headers()
        for _ in range(MEGABYTES):
            self.wfile.write(block)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def large_files() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def memory_service(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[ServiceProcess, str, str]]:
    with docker_registry(tmp_path / "registry") as registry, large_files() as files, open_folder() as folder:
        push_small_image(registry, "bases/small", "1", programs=True)
        variables = {
            **environment,
            "DCRX_KV_ADMIN_USERNAME": ADMIN,
            "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
            "DCRX_KV_TOKEN_EXPIRATION": "2h",
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DCRX_KV_ALLOWED_HOSTS": files,
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DCRX_KV_JOB_TIMEOUT": "2h",  # the full size takes long on a busy machine
            "DCRX_KV_MAX_MEMORY_PERCENT_USAGE": "100",
        }
        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        with service_process(script, variables, tmp_path) as service:
            yield service, registry, files


def test_large_layers_are_not_in_the_services_memory(memory_service: tuple[ServiceProcess, str, str]) -> None:
    """Every second build runs a command that writes as much; builds' own processes are told apart."""
    service, registry, files = memory_service
    assert service.process is not None
    with httpx.Client(base_url=service.url, timeout=120) as http:
        http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        jobs = [_ordered(http, registry, files, number) for number in range(BUILDS)]
        at_rest, children, until = _peak(service.process.pid), 0, time.monotonic() + ENDS_WITHIN
        ended: dict[str, Any] = {}
        while len(ended) < BUILDS:
            assert time.monotonic() < until, f"{len(ended)} of {BUILDS} builds have ended"
            children = max(children, _resident_children(service.process.pid))
            for job_id in set(jobs) - ended.keys():
                job = http.get(f"/jobs/images/{job_id}/get").json()
                if job["status"] in ("DONE", "FAILED", "CANCELLED"):
                    ended[job_id] = job
            time.sleep(0.5)

    assert {job["status"] for job in ended.values()} == {"DONE"}, [job["context"] for job in ended.values()]
    assert min(job["size"] for job in ended.values()) > MEGABYTES * MB
    peak = _peak(service.process.pid)
    print(
        f"{at_rest / MB:.0f} MB at the beginning, at most {peak / MB:.0f} MB, builds {children / MB:.0f} MB"
    )
    assert peak <= MOST


def _ordered(http: httpx.Client, registry: str, files: str, number: int) -> str:
    layers: list[dict[str, Any]] = [
        {"layer_type": "stage", "base": f"{registry}/bases/small", "tag": "1"},
        {"layer_type": "add", "source": f"http://{files}/{number}", "destination": "/large"},
    ]
    if number % 2:
        command = f"dd if=/dev/urandom of=/larger bs={MB} count={MEGABYTES}"
        layers[1] = {"layer_type": "run", "command": command}
    answer = http.post("/jobs/images/create", json={"name": f"large-{number}", "layers": layers})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


def _peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    return _figure(pid, "VmHWM")


def _resident_children(pid: int) -> int:
    """What all processes below one have in memory now, in bytes; pages that they share count for each."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return sum(_figure(int(child), "VmRSS") + _resident_children(int(child)) for child in children)


def _figure(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
