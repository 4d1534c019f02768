"""Whatever ends a build, its folder goes: at once, or with the next start."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .processes import ServiceProcess, clean_environment, service_process
from .running import ADMIN, PASSWORD

RUN = "import sys; from image_builder.service_cli import main; sys.exit(main())"
WITHIN = 60.0  # seconds


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A registry that takes connections and says nothing: builds that read a base from it wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WITHIN)
        yield server


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def request(server: socket.socket) -> dict[str, object]:
    layers = [
        {"layer_type": "stage", "base": f"{address(server)}/bases/silent", "tag": "1"},
        {"layer_type": "copy", "source": "large", "destination": "/"},
    ]
    return {"name": "waits", "layers": layers, "files": {"large": {"path": "large"}}}


def local_build(server: socket.socket, folder: Path) -> "subprocess.Popen[str]":
    """A build without a service, in the middle of its work."""
    (folder / "large").write_bytes(bytes(2_000_000))
    (folder / "request.json").write_text(json.dumps(request(server)))
    environment = {
        "DOCKER_REGISTRY_URI": f"http://{address(server)}/v2/team",
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "build", str(folder / "request.json"), "--local"],
        env=clean_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        server.accept()[0].detach()  # stays open
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def folders(folder: Path) -> list[Path]:
    return sorted([*folder.glob("**/build-*"), *folder.glob("**/files-*")])


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_local_build_that_is_ended_leaves_nothing(
    silent: socket.socket, tmp_path: Path, ending: signal.Signals
) -> None:
    process = local_build(silent, tmp_path)
    assert len(folders(tmp_path)) == 2

    process.send_signal(ending)
    _, said = process.communicate(timeout=WITHIN)

    assert (process.returncode, folders(tmp_path)) == (1, [])
    assert "the build was cancelled" in said
    assert "Traceback" not in said


def test_what_a_killed_local_build_leaves_goes_with_the_next(silent: socket.socket, tmp_path: Path) -> None:
    killed = local_build(silent, tmp_path)
    left = folders(tmp_path)
    killed.kill()
    killed.communicate()
    assert folders(tmp_path) == left

    following = local_build(silent, tmp_path)
    following.terminate()
    following.communicate(timeout=WITHIN)

    assert folders(tmp_path) == []


@pytest.fixture
def service(environment: dict[str, str], silent: socket.socket, tmp_path: Path) -> Iterator[ServiceProcess]:
    variables = {
        **environment,
        "DCRX_KV_ADMIN_USERNAME": ADMIN,
        "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
        "DOCKER_REGISTRY_URI": f"http://{address(silent)}/v2/team",
    }
    with service_process(["-c", RUN, "server", "run", "--port", "PORT"], variables, tmp_path) as running:
        yield running


def test_what_a_killed_service_leaves_goes_with_its_next_start(
    service: ServiceProcess, silent: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"large")
    body = {**request(silent), "files": {"large": {"content": ""}}}
    with httpx.Client(base_url=service.url, timeout=WITHIN) as http:
        http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        assert http.post("/jobs/images/create", json=body).status_code == 200
    silent.accept()[0].detach()
    (left,) = folders(tmp_path / "work")

    service.kill()
    assert left.exists()
    service.start()

    until = time.monotonic() + WITHIN
    while left.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
