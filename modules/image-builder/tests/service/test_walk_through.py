"""The document's walk-through with everything real: commands, service, registry, and a pushed image."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from .processes import ServiceProcess, service_process
from .registries import docker_registry, image_config, push_small_image
from .running import PASSWORD
from .test_service_cli import RUN, command

TEAM_USER, TEAM_PASSWORD = "team-robot", "push it"
# The same as bcrypt, as `htpasswd -nbB` writes it.
TEAM_HTPASSWD = f"{TEAM_USER}:$2b$04$vGY6No81WIYoxbmWWKMiy.OQWXUC9/H0xND3cPAv5xKz8ZW4KI0Bi\n"
REQUEST = {
    "name": "hello-world",
    "tag": "latest",
    "layers": [
        {"layer_type": "stage", "base": "python", "tag": "3.11-slim"},
        {"layer_type": "entrypoint", "command": ["echo", "Hello world!"]},
    ],
}


@dataclass
class Walk:
    """A running service with its registry."""

    service: ServiceProcess
    registry: str
    team_registry: str


@pytest.fixture
def walk(environment: dict[str, str], tmp_path: Path) -> Iterator[Walk]:
    with (
        docker_registry(tmp_path / "registry") as registry,
        docker_registry(tmp_path / "team", TEAM_HTPASSWD) as team_registry,
    ):
        push_small_image(registry, "private/python", "3.11-slim")
        inventory = {"images": {"docker.io/library/python:3.11-slim": f"{registry}/private/python:3.11-slim"}}
        (tmp_path / "inventory.json").write_text(json.dumps(inventory))
        variables = {
            **environment,
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/myrepo/test-images",
            "DCRX_KV_ALLOWED_HOSTS": team_registry,
            "DCRX_KV_INVENTORY": str(tmp_path / "inventory.json"),
        }
        made = command(
            variables,
            *("database", "initialize", "--username", "admin", "--password", PASSWORD),
            *("--first-name", "A", "--last-name", "B", "--email", "a@example.com"),
        )
        assert made.returncode == 0, made.stderr
        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        with service_process(script, variables, tmp_path) as service:
            yield Walk(service, registry, team_registry)


def test_from_the_first_user_to_a_pushed_image(walk: Walk) -> None:
    with httpx.Client(base_url=walk.service.url, timeout=60) as http:
        login = http.post("/users/login", json={"username": "admin", "password": PASSWORD})
        assert (login.status_code, login.json()["username"]) == (200, "admin")

        created = http.post("/jobs/images/create", json=REQUEST)
        assert created.status_code == 200, created.text
        job_id = created.json()["job_id"]
        log = http.get(f"/jobs/images/{job_id}/logs").text
        job = http.get(f"/jobs/images/{job_id}/get").json()

        assert job["status"] == "DONE", (job, log)
        assert job["image"] == f"{walk.registry}/myrepo/test-images/hello-world:latest"
        digest, config = image_config(walk.registry, "myrepo/test-images/hello-world", "latest")
        assert digest == job["digest"]
        assert config["config"]["Entrypoint"] == ["echo", "Hello world!"]
        assert config["config"]["Env"] == ["PATH=/usr/bin"]
        assert log.endswith("\n\n")
        assert "event: end" in log

        again = http.post("/jobs/images/create", json=REQUEST).json()["job_id"]
        http.get(f"/jobs/images/{again}/logs")
        assert http.get(f"/jobs/images/{again}/get").json()["digest"] == digest


def test_with_the_requests_own_registry(walk: Walk) -> None:
    registry = {
        "registry_url": f"http://{walk.team_registry}/v1/team",
        "registry_user": TEAM_USER,
        "registry_password": TEAM_PASSWORD,
    }
    wrong = {**registry, "registry_password": "a guess"}
    with httpx.Client(base_url=walk.service.url, timeout=60) as http:
        http.post("/users/login", json={"username": "admin", "password": PASSWORD})
        jobs = []
        for own in (registry, wrong):
            job_id = http.post("/jobs/images/create", json={**REQUEST, "registry": own}).json()["job_id"]
            http.get(f"/jobs/images/{job_id}/logs")
            jobs.append(http.get(f"/jobs/images/{job_id}/get").json())

    done, refused = jobs
    assert (done["status"], refused["status"]) == ("DONE", "FAILED"), jobs
    auth = (TEAM_USER, TEAM_PASSWORD)
    digest, _ = image_config(walk.team_registry, "team/hello-world", "latest", auth)
    assert digest == done["digest"]
    assert "a guess" not in refused["context"]


def test_with_a_base_that_does_not_exist_the_job_says_so(walk: Walk) -> None:
    layers = [{"layer_type": "stage", "base": f"{walk.registry}/nobody/made", "tag": "this"}]
    with httpx.Client(base_url=walk.service.url, timeout=60) as http:
        http.post("/users/login", json={"username": "admin", "password": PASSWORD})
        job_id = http.post("/jobs/images/create", json={**REQUEST, "layers": layers}).json()["job_id"]
        http.get(f"/jobs/images/{job_id}/logs")
        job = http.get(f"/jobs/images/{job_id}/get").json()

    assert job["status"] == "FAILED"
    assert "nobody/made" in job["context"]


def test_a_request_may_not_lead_into_the_network(walk: Walk) -> None:
    registry = {"registry_url": "http://169.254.169.254/latest"}
    with httpx.Client(base_url=walk.service.url, timeout=60) as http:
        http.post("/users/login", json={"username": "admin", "password": PASSWORD})
        job_id = http.post("/jobs/images/create", json={**REQUEST, "registry": registry}).json()["job_id"]
        http.get(f"/jobs/images/{job_id}/logs")
        job = http.get(f"/jobs/images/{job_id}/get").json()

    assert job["status"] == "FAILED"
    assert "169.254.169.254" in job["context"]


def test_from_a_shell_with_and_without_the_service(walk: Walk, tmp_path: Path) -> None:
    content = base64.b64encode(b"hello\n").decode()
    layers = [*REQUEST["layers"], {"layer_type": "copy", "source": "greeting", "destination": "/greeting"}]
    (tmp_path / "large").write_bytes(b"0123456789abcdef" * 200_000)
    (tmp_path / "large").chmod(0o750)
    layers.append({"layer_type": "copy", "source": "data/large", "destination": "/opt/"})
    files = {"greeting": {"content": content}, "data/large": {"path": "large"}}
    request = {**REQUEST, "layers": layers, "files": files}
    request["layers"][0] = {
        "layer_type": "stage",
        "base": f"{walk.registry}/private/python",
        "tag": "3.11-slim",
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    local = {"DOCKER_REGISTRY_URI": f"http://{walk.registry}/v2/local", "HOME": str(tmp_path)}

    served = command(
        {"IMAGE_BUILDER_PASSWORD": PASSWORD},
        *("build", str(tmp_path / "request.json"), "--server", walk.service.url, "--username", "admin"),
    )
    built_here = command(local, "build", str(tmp_path / "request.json"), "--local")

    assert (served.returncode, built_here.returncode) == (0, 0), served.stderr + built_here.stderr
    assert f"── uploading {tmp_path}/large, 3200000 bytes" in served.stderr
    assert served.stdout.partition("@")[2] == built_here.stdout.partition("@")[2]
    assert built_here.stdout.startswith(f"{walk.registry}/local/hello-world@sha256:")
