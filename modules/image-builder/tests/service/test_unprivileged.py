"""The service as the user 65534, without any capability, on a root that cannot be written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from .processes import ServiceProcess, open_folder, service_process
from .registries import docker_registry, image_config, push_small_image
from .running import PASSWORD
from .test_service_cli import RUN, command
from .unprivileged import USER, as_nobody

SETUID_AND_SETGID = 1 << 6 | 1 << 7  # capability.h

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@dataclass
class Walk:
    """A service without privileges, and its registry."""

    service: ServiceProcess
    registry: str

    def built(self, *layers: dict[str, Any]) -> None:
        """Have an image on the small base built and pushed."""
        job = self.ended(*layers)
        assert job["status"] == "DONE", job
        assert image_config(self.registry, "team/hello", "latest")[0] == job["digest"]

    def ended(self, *layers: dict[str, Any]) -> dict[str, Any]:
        """The job of an image on the small base when it has ended."""
        base = {"layer_type": "stage", "base": f"{self.registry}/bases/small", "tag": "1"}
        with httpx.Client(base_url=self.service.url, timeout=120) as http:
            login = http.post("/users/login", json={"username": "admin", "password": PASSWORD})
            assert login.status_code == 200, login.text
            order = {"name": "hello", "layers": [base, *layers]}
            job_id = http.post("/jobs/images/create", json=order).json()["job_id"]
            http.get(f"/jobs/images/{job_id}/logs")  # to its end
            job: dict[str, Any] = http.get(f"/jobs/images/{job_id}/get").json()
        return job


@pytest.fixture(params=[False], ids=["assembled"])
def walk(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Iterator[Walk]:
    """From the first user on, as in the document."""
    with open_folder() as folder, docker_registry(tmp_path / "registry") as registry:
        os.chown(folder, USER, USER)
        push_small_image(registry, "bases/small", "1", programs=True)
        variables = {
            **environment,
            "HOME": str(folder),
            "DCRX_KV_DATABASE_URI": f"sqlite+aiosqlite:///{folder}/dcrx",
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
        }
        within = as_nobody(folder, runs_commands=request.param)
        made = command(
            variables,
            *("database", "initialize", "--username", "admin", "--password-stdin"),
            stdin=PASSWORD,
            within=within,
        )
        assert made.returncode == 0, made.stderr
        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        with service_process(script, variables, tmp_path, within) as service:
            yield Walk(service, registry)


def test_the_walk_through_needs_no_privilege_at_all(walk: Walk) -> None:
    walk.built(
        {"layer_type": "entrypoint", "command": ["echo", "Hello world!"]},
        {"layer_type": "workdir", "path": "/new"},
    )

    has = _status(walk.service)
    assert has["Uid"].split() == [str(USER)] * 4
    assert has["Gid"].split() == [str(USER)] * 4
    assert has["Groups"].split() == []
    assert {has[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert has["NoNewPrivs"] == "1"
    assert _root_is_read_only(walk.service)

    refused = walk.ended({"layer_type": "run", "command": "true"})
    assert (refused["status"], refused["context"][:28]) == ("FAILED", "commands cannot be run here:")


@pytest.mark.engine
@pytest.mark.parametrize("walk", [True], indirect=True, ids=["commands"])
def test_commands_need_what_gives_a_namespace_its_users_and_nothing_else(walk: Walk) -> None:
    walk.built({"layer_type": "run", "command": "echo made > /made"})

    has = _status(walk.service)
    assert has["Uid"].split() == [str(USER)] * 4
    assert {has[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert int(has["CapBnd"], 16) == SETUID_AND_SETGID
    assert _root_is_read_only(walk.service)


def _status(service: ServiceProcess) -> dict[str, str]:
    """What the kernel says of the service (proc(5), /proc/PID/status)."""
    assert service.process is not None
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _root_is_read_only(service: ServiceProcess) -> bool:
    assert service.process is not None
    mounts = Path(f"/proc/{service.process.pid}/mountinfo").read_text().splitlines()
    (options,) = (fields[5] for fields in map(str.split, mounts) if fields[4] == "/")
    return "ro" in options.split(",")
