"""kill -9 at random points of a load: no job is lost, none ends wrongly, none is pushed in two versions."""

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from image_builder.client import Client, ServiceError

from .processes import ServiceProcess, service_process
from .registries import docker_registry, image_config
from .running import ADMIN, PASSWORD, request
from .test_service_cli import RUN

LONG = bool(os.environ.get("AIRGAP_LONG"))
KILLS = 200 if LONG else 5
ENDS_WITHIN = 120  # seconds after the last kill
SCRIPT = Path(__file__).with_name("scripted_server.py")


@dataclass
class Load:
    """Orders images until it is stopped, and cancels some."""

    url: str
    order: Callable[[str], dict[str, Any]] = request
    accepted: dict[str, str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            try:
                with Client(self.url) as client:
                    client.login(ADMIN, PASSWORD)
                    while not self.stop.is_set():
                        number += 1
                        self._order(client, number)
                        self.stop.wait(0.01)
            except ServiceError as error:
                if error.status is not None and error.status >= 500:
                    self.broken.append(str(error))
                self.stop.wait(0.05)

    def wait_for_more(self) -> None:
        """Until one more job is accepted."""
        known, until = len(self.accepted), time.monotonic() + ENDS_WITHIN
        while len(self.accepted) == known:
            assert time.monotonic() < until, "nothing is accepted"
            time.sleep(0.01)

    def _order(self, client: Client, number: int) -> None:
        name = f"fails-{number}" if number % 5 == 0 else f"image-{number}"
        job_id = client.create(self.order(name))["job_id"]
        self.accepted[job_id] = name
        if number % 7 == 0:
            self.cancelled.add(job_id)
            client.cancel(job_id)


@pytest.fixture
def pushes(tmp_path: Path) -> Path:
    path = tmp_path / "pushes"
    path.touch()
    return path


@pytest.fixture
def variables(environment: dict[str, str]) -> dict[str, str]:
    return {
        **environment,
        "DCRX_KV_ADMIN_USERNAME": ADMIN,
        "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
        "DCRX_KV_JOB_LEASE": "1s",
        "DCRX_KV_JOB_MAX_ATTEMPTS": "100",  # an unlucky job is killed often
        "DCRX_KV_JOB_MAX_PENDING": "100000",
    }


@pytest.fixture
def service(variables: dict[str, str], tmp_path: Path, pushes: Path) -> Iterator[ServiceProcess]:
    with service_process([str(SCRIPT), "PORT", str(pushes)], variables, tmp_path) as running:
        yield running


def test_a_killed_service_loses_nothing_and_repeats_nothing(service: ServiceProcess, pushes: Path) -> None:
    load = Load(service.url)

    ended = _killed_under_load(service, load, KILLS)

    assert _wrong(load, ended) == set()
    digests = defaultdict(set)
    for line in pushes.read_text().splitlines():
        name, digest = line.split()
        digests[name].add(digest)
    assert [name for name, found in digests.items() if len(found) > 1] == []
    done = {load.accepted[job_id] for job_id, job in ended.items() if job["status"] == "DONE"}
    assert done <= digests.keys()


def test_images_of_a_killed_service_are_what_their_jobs_say(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """The real builder and a real registry."""
    with docker_registry(tmp_path / "registry") as registry:

        def order(name: str) -> dict[str, Any]:
            base = f"{registry}/nobody/made-this" if name.startswith("fails") else "scratch"
            layers = [{"layer_type": "stage", "base": base}, {"layer_type": "cmd", "command": [name]}]
            return {"name": name, "layers": layers}

        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        own = {**variables, "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team"}
        with service_process(script, own, tmp_path) as service:
            load = Load(service.url, order)
            ended = _killed_under_load(service, load, KILLS if LONG else 2)

        assert _wrong(load, ended) == set()
        done = [job for job in ended.values() if job["status"] == "DONE"]
        assert done
        for job in done:
            assert image_config(registry, f"team/{job['name']}", "latest")[0] == job["digest"]


def _killed_under_load(service: ServiceProcess, load: Load, kills: int) -> dict[str, dict[str, Any]]:
    """Order images while the service is killed and started again; all jobs when they have ended."""
    dice = random.Random(6)  # noqa: S311  no secret
    loading = threading.Thread(target=load.run)
    loading.start()
    try:
        for _ in range(kills):
            load.wait_for_more()
            time.sleep(dice.uniform(0, 1))
            service.kill()
            service.start()
    finally:
        load.stop.set()
        loading.join()
    assert len(load.accepted) >= kills
    assert load.broken == []
    return _wait_for_the_end(service, list(load.accepted))


def _wrong(load: Load, ended: dict[str, dict[str, Any]]) -> set[tuple[str, str]]:
    """Jobs that ended as they must not."""
    names = {job_id: load.accepted[job_id] for job_id in ended}
    return {
        (names[job_id], job["status"])
        for job_id, job in ended.items()
        if job["status"] not in _expected(names[job_id], job_id in load.cancelled)
    }


def _expected(name: str, cancelled: bool) -> set[str]:
    result = "FAILED" if name.startswith("fails") else "DONE"
    return {result, "CANCELLED"} if cancelled else {result}


def _wait_for_the_end(service: ServiceProcess, job_ids: list[str]) -> dict[str, dict[str, Any]]:
    until = time.monotonic() + ENDS_WITHIN
    jobs: dict[str, dict[str, Any]] = {}
    with httpx.Client(base_url=service.url, timeout=60) as http:
        login = http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        assert login.status_code == 200, login.text
        for job_id in job_ids:
            while jobs.get(job_id, {}).get("status") not in ("DONE", "FAILED", "CANCELLED"):
                answer = http.get(f"/jobs/images/{job_id}/get")
                assert answer.status_code == 200, f"lost: {job_id}: {answer.text}"
                jobs[job_id] = answer.json()
                assert time.monotonic() < until, f"{job_id} is still {jobs[job_id]['status']}"
                time.sleep(0.01)
    return jobs


def test_a_service_that_is_ended_gives_its_jobs_back(service: ServiceProcess) -> None:
    with Client(service.url) as client:
        client.login(ADMIN, PASSWORD)
        job_ids = [client.create(request(f"image-{number}"))["job_id"] for number in range(30)]

    assert service.stop() == -signal.SIGTERM

    service.start()
    ended = _wait_for_the_end(service, job_ids)
    assert {job["status"] for job in ended.values()} == {"DONE"}
    assert {job["attempt"] for job in ended.values()} == {1}
