"""Hostile builds, all at once, through the service: it stays responsive, and nothing of them is left."""

import base64
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .processes import ServiceProcess, comes_true_soon, open_folder, processes_below, service_process
from .registries import docker_registry, push_small_image
from .running import ADMIN, PASSWORD
from .test_service_cli import RUN

pytestmark = pytest.mark.engine

# The bomb may leave others of the same user no process, so that they fail.
NOT_YET = ("CREATED", "PENDING", "AUTHORIZING", "GENERATING")
MEANWHILE = 5  # images of somebody else

ENDLESS = {
    "log without end": "busybox yes 'a line of the log'",
    "disk filler": "for n in 1 2 3 4 5; do dd if=/dev/zero of=/f$n bs=1000000 count=100; done; sleep 600",
    "deaf": "trap '' TERM INT HUP; (busybox setsid sleep 600 &); sleep 600",
    "fork bomb": "b() { b | b & }; b; sleep 600",
}
SSRF = [
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://127.0.0.1:2278/users",
    "http://localhost/",
]


@pytest.fixture
def hostile_service(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[tuple[ServiceProcess, str, Path]]:
    with docker_registry(tmp_path / "registry") as registry, open_folder() as folder:
        push_small_image(registry, "bases/small", "1", programs=True)
        variables = {
            **environment,
            "DCRX_KV_ADMIN_USERNAME": ADMIN,
            "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DCRX_KV_MAX_MEMORY_PERCENT_USAGE": "100",
        }
        with service_process(["-c", RUN, "server", "run", "--port", "PORT"], variables, tmp_path) as service:
            yield service, f"{registry}/bases/small", folder / "work"


def test_hostile_builds_hold_nobody_up(hostile_service: tuple[ServiceProcess, str, Path]) -> None:
    """While they run, others' images are built, and the service says that it is well."""
    service, base, work = hostile_service
    with httpx.Client(base_url=service.url, timeout=300) as http:
        http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        hostile = [_ordered(http, base, {"layer_type": "run", "command": text}) for text in ENDLESS.values()]
        for job_id in hostile:
            assert comes_true_soon(lambda job_id=job_id: _job(http, job_id)["status"] not in NOT_YET)

        for number in range(MEANWHILE):
            job_id = _ordered(http, base, {"layer_type": "label", "name": "n", "value": str(number)})
            http.get(f"/jobs/images/{job_id}/logs")  # to its end
            assert _job(http, job_id)["status"] == "DONE"
            for path in ("/health/live", "/health/ready"):
                assert http.get(path).status_code == 200
        ended = [http.delete(f"/jobs/images/{job_id}/cancel").json() for job_id in hostile]
        for job_id in hostile:
            http.get(f"/jobs/images/{job_id}/logs/text")
            assert comes_true_soon(
                lambda job_id=job_id: _job(http, job_id)["status"] in ("CANCELLED", "FAILED")
            )

        assert len(ended) == len(ENDLESS)
        assert comes_true_soon(lambda: processes_below(work) == []), processes_below(work)
        assert comes_true_soon(lambda: list(work.iterdir()) == [])


def test_what_leads_out_is_refused(hostile_service: tuple[ServiceProcess, str, Path]) -> None:
    service, base, work = hostile_service
    with httpx.Client(base_url=service.url, timeout=300) as http:
        http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        adds = [{"layer_type": "add", "source": f"{url}x", "destination": "/x"} for url in SSRF]
        jobs = [_ordered(http, base, add) for add in adds]
        add = {"layer_type": "add", "source": "a.tar", "destination": "/x/"}
        for name in ("../../evil", "/etc/../../evil"):
            jobs.append(_ordered(http, base, add, {"a.tar": {"content": _archive(name)}}))
        for job_id in jobs:
            http.get(f"/jobs/images/{job_id}/logs")  # to its end

        ended = [_job(http, job_id) for job_id in jobs]

    assert {job["status"] for job in ended} == {"FAILED"}, ended
    reasons = ("leads into the network", "leads out of the destination")
    assert all(any(reason in job["context"] for reason in reasons) for job in ended), ended
    assert list(work.iterdir()) == []


def _ordered(
    http: httpx.Client, base: str, layer: dict[str, Any], files: dict[str, Any] | None = None
) -> str:
    layers = [{"layer_type": "stage", "base": base, "tag": "1"}, layer]
    answer = http.post(
        "/jobs/images/create", json={"name": "hostile", "layers": layers, "files": files or {}}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


def _job(http: httpx.Client, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = http.get(f"/jobs/images/{job_id}/get").json()
    return job


def _archive(name: str) -> str:
    """An archive with one file, in base64."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return base64.b64encode(buffer.getvalue()).decode()
