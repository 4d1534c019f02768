"""`docker run -p 2278:2278 --env-file .env`: the service from its image, without any privilege."""

import json
import subprocess
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from .containers import (
    ENTRYPOINT,
    PASSWORD,
    RUN,
    WITHIN,
    docker,
    ended,
    push_small_base,
    registry_beside,
    request,
    service,
    write_env_file,
)

pytestmark = pytest.mark.engine
WITHOUT_PRIVILEGE = (
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--tmpfs=/data:mode=1777",
)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def test_the_walk_through_of_the_document(image: str, debian: str, tmp_path: Path) -> None:
    """Initialise, run, sign in, create, follow, and the image is in the registry."""
    volume = tmp_path / "state"
    volume.mkdir(mode=0o777)
    volume.chmod(0o777)
    env_file, mount = write_env_file(tmp_path / ".env"), f"--volume={volume}:/var/lib/image-builder"
    initialize = ["dcrx-kv", "database", "initialize", "--username", "admin", "--password", PASSWORD]
    names = ["--first-name", "Ada", "--last-name", "Admin", "--email", "ada@example.com"]
    said = docker("run", "--rm", "--env-file", str(env_file), mount, image, *initialize, *names)
    assert "was made" in said

    with (
        service(image, env_file, mount) as (container, http),
        registry_beside(container, debian, tmp_path / "registry") as registry,
    ):
        push_small_base(registry, tmp_path)
        answer = http.post("/users/login", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        job = http.post("/jobs/images/create", json=request("hello-world", ENTRYPOINT)).json()

        assert ended(http, job["job_id"])["status"] == "DONE"

        with urlopen(
            Request(f"http://{registry}/v2/team/hello-world/manifests/1", headers={"Accept": MANIFEST})
        ) as it:
            manifest = json.load(it)
        with urlopen(f"http://{registry}/v2/team/hello-world/blobs/{manifest['config']['digest']}") as it:
            assert json.load(it)["config"]["Entrypoint"] == ["echo", "Hello world!"]


@pytest.mark.parametrize("user", ["1000:1000", "65534:65534"])
def test_it_needs_no_capability_no_setuid_and_no_writable_root(
    image: str, debian: str, tmp_path: Path, user: str
) -> None:
    """And the first administrator comes from a mounted secret."""
    (tmp_path / "password").write_text(PASSWORD)
    env_file = write_env_file(
        tmp_path / ".env",
        DCRX_KV_ADMIN_USERNAME="admin",
        DCRX_KV_ADMIN_PASSWORD_FILE="/run/secrets/password",
        DCRX_KV_DATABASE_NAME="/data/dcrx",
    )
    options = [*WITHOUT_PRIVILEGE, f"--user={user}", f"--volume={tmp_path}/password:/run/secrets/password:ro"]
    with (
        service(image, env_file, *options) as (container, http),
        registry_beside(container, debian, tmp_path / "registry") as registry,
    ):
        status = docker("exec", container.id, "cat", "/proc/1/status")
        assert f"Uid:\t{user.partition(':')[0]}" in status
        for line in ("CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            assert line in status
        push_small_base(registry, tmp_path)
        http.post("/users/login", json={"username": "admin", "password": PASSWORD}).raise_for_status()

        assembled = http.post("/jobs/images/create", json=request("assembled", ENTRYPOINT)).json()
        assert ended(http, assembled["job_id"])["status"] == "DONE"

        commands = http.post("/jobs/images/create", json=request("commands", RUN)).json()
        job = ended(http, commands["job_id"])
        assert job["status"] == "FAILED"
        assert "commands cannot be run here" in job["context"]


def test_it_becomes_healthy_and_ends_on_sigterm(image: str, tmp_path: Path) -> None:
    env_file = write_env_file(tmp_path / ".env")
    with service(image, env_file, "--health-interval=1s") as (container, _):
        until = time.monotonic() + WITHIN
        while container.state()["Health"]["Status"] != "healthy":
            assert time.monotonic() < until, container.state()
            time.sleep(0.2)

        assert container.stop() == 0


def test_without_its_settings_it_says_which_are_missing(image: str) -> None:
    done = subprocess.run(["docker", "run", "--rm", image], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "DCRX_KV_SECRET_KEY: is required" in done.stderr
    assert "Traceback" not in done.stderr
