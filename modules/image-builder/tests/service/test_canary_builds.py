"""Secrets of a real build come out nowhere: database files, logs, answers, processes, images."""

import contextlib
import gzip
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import KINDS
from .database_servers import DatabaseServer
from .processes import open_folder, service_process
from .registries import docker_registry, push_small_image
from .running import ADMIN
from .test_service_cli import RUN

TEAM_USER, TEAM_PASSWORD = "team-robot", "canary-team-7d2e9a41"
# The same as bcrypt, as `htpasswd -nbB` writes it.
TEAM_HTPASSWD = f"{TEAM_USER}:$2b$04$fH9n.zTJbYmvoy0pZBuTMenSbzDY5tel/YmzJ03gavRtfVO/nipcO\n"

pytestmark = pytest.mark.engine


@dataclass
class Watch:
    """Looks at all processes below one until it is told to end: command lines and environments."""

    pid: int
    build_folder: Path
    service: bytes = b""
    commands: set[bytes] = field(default_factory=set)
    environments: set[bytes] = field(default_factory=set)
    build_files: set[bytes] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.02):
            self._look(self.pid)
            with contextlib.suppress(OSError):  # a build ends while we look
                self.build_files.update(
                    path.read_bytes() for path in self.build_folder.glob("build-*/job/*") if path.is_file()
                )

    def _look(self, pid: int) -> None:
        with contextlib.suppress(OSError):  # ended meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            self.commands.add(command)
            if pid == self.pid:
                self.service = command
            elif command != self.service:  # else it is the service's own until it becomes another program
                self.environments.add(Path(f"/proc/{pid}/environ").read_bytes())
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                self._look(int(child))


@pytest.fixture(params=KINDS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """URI of a new database, and the folder with all its files."""
    if request.param == "sqlite":
        (tmp_path / "database").mkdir()
        return f"sqlite+aiosqlite:///{tmp_path}/database/dcrx", tmp_path / "database"
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.new_database(), server.folder


def test_secrets_of_real_builds_are_seen_nowhere(
    stored: tuple[str, Path], environment: dict[str, str], tmp_path: Path
) -> None:
    canaries = {
        name: f"canary-{name}-{secrets.token_hex(8)}" for name in ("admin", "default", "typo", "named")
    }
    answers: list[str] = []
    with (
        docker_registry(tmp_path / "registry") as registry,
        docker_registry(tmp_path / "team", TEAM_HTPASSWD) as team,
        open_folder() as folder,
    ):
        push_small_image(registry, "bases/small", "1", programs=True)
        variables = {
            **environment,
            "DCRX_KV_DATABASE_URI": stored[0],
            "DCRX_KV_ADMIN_USERNAME": ADMIN,
            "DCRX_KV_ADMIN_PASSWORD": canaries["admin"],
            "DOCKER_REGISTRY_URI": f"http://{registry}/v2/team",
            "DOCKER_REGISTRY_USERNAME": "robot",
            "DOCKER_REGISTRY_PASSWORD": canaries["default"],
            "DCRX_KV_ALLOWED_HOSTS": team,
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
        }
        script = ["-c", RUN, "server", "run", "--port", "PORT"]
        with service_process(script, variables, tmp_path) as service:
            assert service.process is not None
            watch = Watch(service.process.pid, folder / "work")
            watching = threading.Thread(target=watch.run)
            watching.start()
            try:
                jobs = _build_all(service.url, registry, team, canaries, answers)
            finally:
                watch.stop.set()
                watching.join()
        kept = b"".join(_contents(folder))

    assert [job["status"] for job in jobs] == ["DONE", "DONE", "FAILED", "DONE"], answers
    places = {
        "database": b"".join(_contents(stored[1])),
        "log": service.log.read_bytes(),
        "answers": "\n".join(answers).encode(),
        "command lines": b"\n".join(watch.commands),
        "environments": b"\n".join(watch.environments),
        "files of builds": b"\n".join(watch.build_files),
        "folders": kept,
        "images": b"".join(_contents(tmp_path / "registry/data"))
        + b"".join(_contents(tmp_path / "team/data")),
    }
    # Each place would show what is in it.
    assert b"image-of-the-canary" in places["database"]
    assert b"buildah" in places["command lines"]
    assert b"CONTAINERS_CONF" in places["environments"]
    assert b"FROM" in places["files of builds"]
    assert b"what was made" in places["images"]
    hidden = {
        **canaries,
        "team": TEAM_PASSWORD,
        "signing": environment["DCRX_KV_SECRET_KEY"],
        "encryption": environment["DCRX_KV_ENCRYPTION_KEY"],
    }
    hits = [
        (name, place)
        for name, text in hidden.items()
        for place, found in places.items()
        if text.encode() in found
    ]
    assert hits == []


def _build_all(
    url: str, registry: str, team: str, canaries: dict[str, str], answers: list[str]
) -> list[dict[str, Any]]:
    """Jobs whose images go to the service's registry, to the request's own (with a right and a wrong
    password), and to a named one.
    """
    own = {"registry_url": f"http://{team}", "registry_user": TEAM_USER, "registry_password": TEAM_PASSWORD}
    named = {"registry_name": "n", "registry_uri": registry, "registry_password": canaries["named"]}
    layers = [
        {"layer_type": "stage", "base": f"{registry}/bases/small", "tag": "1"},
        {"layer_type": "run", "command": "echo what was made > /made; sleep 0.5"},
    ]
    jobs = []
    with httpx.Client(base_url=url, timeout=120) as http:

        def call(method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
            answer = http.request(method, path, **more)
            answers.append(answer.text)
            return answer

        call("POST", "/users/login", json={"username": ADMIN, "password": canaries["typo"]})
        call("POST", "/users/login", json={"username": ADMIN, "password": canaries["admin"]})
        call("POST", "/registry/create", json=named)
        for target in (None, own, {**own, "registry_password": canaries["typo"]}, {"registry_name": "n"}):
            order = {"name": "image-of-the-canary", "layers": layers, "registry": target}
            job_id = call("POST", "/jobs/images/create", json=order).json()["job_id"]
            call("GET", f"/jobs/images/{job_id}/logs")
            call("GET", f"/jobs/images/{job_id}/logs/text")
            jobs.append(call("GET", f"/jobs/images/{job_id}/get").json())
        call("GET", "/registry/n/get")
        call("GET", "/metrics")
    return jobs


def _contents(folder: Path) -> Iterator[bytes]:
    """All files below a folder; what is compressed as it is and as it was."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                try:
                    content = path.read_bytes()
                except FileNotFoundError:  # of a database that runs
                    continue
                yield content
                if content[:2] == b"\x1f\x8b":
                    yield gzip.decompress(content)
