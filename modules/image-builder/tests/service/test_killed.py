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

from .processes import ServiceProcess, comes_true_soon, open_folder, processes_below, service_process
from .registries import docker_registry, image_config, push_small_image, pushed_digests
from .running import ADMIN, PASSWORD, request
from .test_service_cli import RUN

LONG = bool(os.environ.get("AIRGAP_LONG"))
KILLS = 200 if LONG else 4
BUILD_KILLS = 200 if LONG else 8
ENDS_WITHIN = 300  # seconds after the last kill
SCRIPT = Path(__file__).with_name("scripted_server.py")


@dataclass
class Load:
    """Orders images until it is stopped, and cancels some."""

    url: str
    order: Callable[[str], dict[str, Any]] = request
    accepted: dict[str, str] = field(default_factory=dict)
    pause: float = 0.01  # seconds between two orders
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
                        self.stop.wait(self.pause)
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


@pytest.mark.engine
def test_images_of_a_killed_service_are_what_their_jobs_say(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """The real builder and a real registry; every second image runs a command."""
    with docker_registry(tmp_path / "registry") as registry, open_folder() as folder:
        push_small_image(registry, "bases/small", "1", programs=True)

        def order(name: str) -> dict[str, Any]:
            layers: list[dict[str, Any]] = [
                {"layer_type": "stage", "base": f"{registry}/bases/small", "tag": "1"},
                {"layer_type": "cmd", "command": [name]},
            ]
            if int(name.partition("-")[2]) % 2:
                end = "false" if name.startswith("fails") else "true"
                layers.append({"layer_type": "run", "command": f"sleep 0.3; echo {name} > /made; {end}"})
            elif name.startswith("fails"):
                layers[0]["base"] = f"{registry}/nobody/made-this"
            return {"name": name, "layers": layers}

        own = {
            **variables,
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DCRX_KV_JOB_MAX_PENDING": "20",  # no more than can be built in the time
        }
        with service_process(["-c", RUN, "server", "run", "--port", "PORT"], own, tmp_path) as service:
            load = Load(service.url, order, pause=0.2)
            ended = _killed_under_load(service, load, BUILD_KILLS, lambda: _all_ended(folder / "work"))
            assert comes_true_soon(lambda: list((folder / "work").iterdir()) == [])

        assert _wrong(load, ended) == set()
        assert {job["status"] for job in ended.values()} >= {"DONE", "FAILED"}
        for job in ended.values():
            pushed = pushed_digests(tmp_path / "registry", f"team/{job['name']}")
            if job["status"] == "DONE":
                assert pushed == {job["digest"]}, job
                assert image_config(registry, f"team/{job['name']}", "latest")[0] == job["digest"]
            assert len(pushed) <= 1, job


@pytest.mark.engine
def test_a_killed_service_takes_its_builds_with_it(variables: dict[str, str], tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as registry, open_folder() as folder:
        push_small_image(registry, "bases/small", "1", programs=True)
        work = folder / "work"
        own = {
            **variables,
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DCRX_KV_WORK_DIR": str(work),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
        }
        order = {
            "name": "endless",
            "layers": [
                {"layer_type": "stage", "base": f"{registry}/bases/small", "tag": "1"},
                {"layer_type": "run", "command": "sleep 600"},
            ],
        }
        with service_process(["-c", RUN, "server", "run", "--port", "PORT"], own, tmp_path) as service:
            with Client(service.url) as client:
                client.login(ADMIN, PASSWORD)
                job_id = client.create(order)["job_id"]
            assert comes_true_soon(lambda: any("sleep 600" in line for line in processes_below(work)))
            (left,) = work.iterdir()

            service.kill()
            _all_ended(work)

            service.start()
            assert comes_true_soon(lambda: not left.exists())
            with Client(service.url) as client:
                client.login(ADMIN, PASSWORD)
                assert client.cancel(job_id)["job_id"] == job_id
            ended = _wait_for_the_end(service, [job_id])

        assert ended[job_id]["status"] == "CANCELLED"


def _all_ended(work: Path) -> None:
    """A killed service leaves no process of a build."""
    assert comes_true_soon(lambda: processes_below(work) == []), processes_below(work)


def _killed_under_load(
    service: ServiceProcess, load: Load, kills: int, killed: Callable[[], None] = lambda: None
) -> dict[str, dict[str, Any]]:
    """Order images while the service is killed and started again; all jobs when they have ended."""
    dice = random.Random(6)  # noqa: S311  no secret
    loading = threading.Thread(target=load.run)
    loading.start()
    try:
        for _ in range(kills):
            load.wait_for_more()
            time.sleep(dice.uniform(0, 1))
            service.kill()
            killed()
            service.start()
    finally:
        load.stop.set()
        loading.join()
    assert len(load.accepted) >= kills
    assert load.broken == []
    return _wait_for_the_end(service, list(load.accepted))


def _wrong(load: Load, ended: dict[str, dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Jobs that ended as they must not, and why."""
    names = {job_id: load.accepted[job_id] for job_id in ended}
    return {
        (names[job_id], job["status"], job["context"])
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


def test_a_service_that_is_ended_gives_its_jobs_back(
    variables: dict[str, str], tmp_path: Path, pushes: Path
) -> None:
    """Leases are longer than the test: what is not given back would wait for their end."""
    patient = variables | {"DCRX_KV_JOB_LEASE": "300s"}
    with service_process([str(SCRIPT), "PORT", str(pushes)], patient, tmp_path) as service:
        with Client(service.url) as client:
            client.login(ADMIN, PASSWORD)
            job_ids = [client.create(request(f"image-{number}"))["job_id"] for number in range(30)]

        assert service.stop() == -signal.SIGTERM

        service.start()
        ended = _wait_for_the_end(service, job_ids)
    assert {job["status"] for job in ended.values()} == {"DONE"}
    assert {job["attempt"] for job in ended.values()} == {1}
