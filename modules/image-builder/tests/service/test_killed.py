"""kill -9 at random points of a load: no job is lost, none ends wrongly, none is pushed in two versions."""

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from image_builder.client import Client, ServiceError

from .processes import ServiceProcess, service_process
from .running import ADMIN, PASSWORD, request

KILLS = 200 if os.environ.get("AIRGAP_LONG") else 5
ENDS_WITHIN = 120  # seconds after the last kill
SCRIPT = Path(__file__).with_name("scripted_server.py")


@dataclass
class Load:
    """Orders images until it is stopped, and cancels some."""

    url: str
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

    def _order(self, client: Client, number: int) -> None:
        name = f"fails-{number}" if number % 5 == 0 else f"image-{number}"
        job_id = client.create(request(name))["job_id"]
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
def service(environment: dict[str, str], tmp_path: Path, pushes: Path) -> Iterator[ServiceProcess]:
    variables = {
        **environment,
        "DCRX_KV_ADMIN_USERNAME": ADMIN,
        "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
        "DCRX_KV_JOB_LEASE": "1s",
        "DCRX_KV_JOB_MAX_ATTEMPTS": "100",  # an unlucky job is killed often
        "DCRX_KV_JOB_MAX_PENDING": "100000",
    }
    with service_process([str(SCRIPT), "PORT", str(pushes)], variables, tmp_path) as running:
        yield running


def test_a_killed_service_loses_nothing_and_repeats_nothing(service: ServiceProcess, pushes: Path) -> None:
    dice = random.Random(6)  # noqa: S311  no secret
    load = Load(service.url)
    loading = threading.Thread(target=load.run)
    loading.start()
    try:
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.1, 1.2))
            service.kill()
            service.start()
    finally:
        load.stop.set()
        loading.join()

    assert len(load.accepted) > KILLS
    assert load.broken == []
    ended = _wait_for_the_end(service, list(load.accepted))
    wrong = {
        (load.accepted[job_id], status)
        for job_id, status in ended.items()
        if status not in _expected(load.accepted[job_id], job_id in load.cancelled)
    }
    assert wrong == set()
    digests = defaultdict(set)
    for line in pushes.read_text().splitlines():
        name, digest = line.split()
        digests[name].add(digest)
    assert [name for name, found in digests.items() if len(found) > 1] == []
    done = {load.accepted[job_id] for job_id, status in ended.items() if status == "DONE"}
    assert done <= digests.keys()


def _expected(name: str, cancelled: bool) -> set[str]:
    result = "FAILED" if name.startswith("fails") else "DONE"
    return {result, "CANCELLED"} if cancelled else {result}


def _wait_for_the_end(service: ServiceProcess, job_ids: list[str]) -> dict[str, str]:
    until = time.monotonic() + ENDS_WITHIN
    statuses: dict[str, str] = {}
    with httpx.Client(base_url=service.url, timeout=60) as http:
        login = http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        assert login.status_code == 200, login.text
        for job_id in job_ids:
            while statuses.get(job_id) not in ("DONE", "FAILED", "CANCELLED"):
                answer = http.get(f"/jobs/images/{job_id}/get")
                assert answer.status_code == 200, f"lost: {job_id}: {answer.text}"
                statuses[job_id] = answer.json()["status"]
                assert time.monotonic() < until, f"{job_id} is still {statuses[job_id]}"
                time.sleep(0.01)
    return statuses


def test_a_service_that_is_ended_gives_its_jobs_back(service: ServiceProcess) -> None:
    with Client(service.url) as client:
        client.login(ADMIN, PASSWORD)
        job_ids = [client.create(request(f"image-{number}"))["job_id"] for number in range(30)]

    assert service.stop() == -signal.SIGTERM

    service.start()
    ended = _wait_for_the_end(service, job_ids)
    assert set(ended.values()) == {"DONE"}
    with Client(service.url) as client:
        client.login(ADMIN, PASSWORD)
        assert {client.get(job_id)["attempt"] for job_id in job_ids} == {1}
