"""What is large passes through the service, and not through its memory."""

import os
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from image_builder.client import Client

from .processes import ServiceProcess, open_folder, service_process
from .registries import docker_registry, push_small_image
from .running import ADMIN, PASSWORD
from .test_service_cli import RUN

LONG = bool(os.environ.get("AIRGAP_LONG"))
MB = 1_000_000
UPLOADED = (500 if LONG else 60) * MB
LOGGED = (1000 if LONG else 40) * MB
KEPT = 16 * 1024 * 1024  # bytes of a log (building.settings.Limits)
MEMORY = 200 * MB  # bytes of the service (the number)
ANSWERS_WITHIN = 30.0  # seconds; on an idle machine it is milliseconds


@dataclass
class Large:
    """A service with a registry and a base."""

    service: ServiceProcess
    registry: str

    @property
    def most_memory(self) -> int:
        """Bytes that the service has had in memory at most."""
        assert self.service.process is not None
        status = Path(f"/proc/{self.service.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


@pytest.fixture
def large(environment: dict[str, str], tmp_path: Path) -> Iterator[Large]:
    with docker_registry(tmp_path / "registry") as registry, open_folder() as folder:
        push_small_image(registry, "bases/small", "1", programs=True)
        variables = {
            **environment,
            "DCRX_KV_ADMIN_USERNAME": ADMIN,
            "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DCRX_KV_MAX_MEMORY_PERCENT_USAGE": "100",
        }
        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        with service_process(script, variables, tmp_path) as service:
            yield Large(service, registry)


def built(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    """The job when it has ended."""
    job = client.create(request)
    *_, last = client.follow(job["job_id"])
    assert last.job is not None
    return last.job


def test_a_large_upload_becomes_a_layer(large: Large, tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        dice = random.Random(6)  # noqa: S311 - nothing secret
        for _ in range(UPLOADED // MB):
            file.write(dice.randbytes(MB))
    layers = [
        {"layer_type": "stage", "base": "scratch"},
        {"layer_type": "copy", "source": "large.bin", "destination": "/"},
    ]

    with Client(large.service.url) as client:
        client.login(ADMIN, PASSWORD)
        files = {"large.bin": {"digest": client.upload(tmp_path / "large.bin")}}
        job = built(client, {"name": "large", "layers": layers, "files": files})

    assert (job["status"], job["context"]) == ("DONE", "")
    assert job["size"] > UPLOADED
    assert large.most_memory < MEMORY


@pytest.mark.engine
def test_a_flood_of_output_is_cut_and_the_service_goes_on(large: Large) -> None:
    flood = f"busybox yes 'a line of the log' | head -c {LOGGED}; echo the end is not in the log"
    layers = [
        {"layer_type": "stage", "base": f"{large.registry}/bases/small", "tag": "1"},
        {"layer_type": "run", "command": flood},
    ]
    answers: list[int | str] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=large.service.url, timeout=ANSWERS_WITHIN) as http:
            while not ended.wait(0.1):
                try:
                    answers.append(http.get("/health/ready").status_code)
                except httpx.HTTPError as error:
                    answers.append(repr(error))

    asking = threading.Thread(target=ask)
    with Client(large.service.url) as client:
        client.login(ADMIN, PASSWORD)
        asking.start()
        try:
            job = client.create({"name": "flood", "layers": layers})
            events = list(client.follow(job["job_id"]))
        finally:
            ended.set()
            asking.join()

    text = "".join(event.text for event in events if event.kind == "log")
    assert events[-1].text == "DONE", events[-1]
    assert f"[the log ends here: it has more than {KEPT} bytes, the limit]" in text
    assert "the end is not in the log" not in text.partition("[the log ends here")[2]
    assert KEPT - 1000 < len(text) < KEPT + 10_000
    assert answers, "nobody asked"
    assert set(answers) == {200}
    assert large.most_memory < MEMORY + 4 * KEPT  # what is kept is also sent to who follows it
