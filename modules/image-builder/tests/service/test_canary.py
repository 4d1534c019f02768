"""Secrets that go in come out nowhere: not in the database, the logs, or an answer."""

import logging
from pathlib import Path

import pytest

from .conftest import StartService
from .running import ADMIN, PASSWORD, request


async def test_no_secret_is_seen(
    start: StartService,
    environment: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)  # as the service's own command sets it
    canaries = {name: f"canary-{name}-6f1d" for name in ("default", "own", "named", "user", "typo")}
    service = await start(DOCKER_REGISTRY_USERNAME="robot", DOCKER_REGISTRY_PASSWORD=canaries["default"])
    http, texts = service.http, []
    texts.append((await service.login()).text)
    texts.append((await service.login(canaries["typo"], canaries["typo"], service.another_client())).text)
    new_user = {"username": "somebody", "password": canaries["user"]}
    texts.append((await http.post("/users/create", json=new_user)).text)
    texts.append((await http.get("/users/somebody/get")).text)
    named = {"registry_name": "n", "registry_uri": "n.example.com", "registry_password": canaries["named"]}
    texts.append((await http.post("/registry/create", json=named)).text)
    texts.append((await http.get("/registry/n/get")).text)
    own = {"registry_url": "o.example.com", "registry_user": "u", "registry_password": canaries["own"]}
    for registry in (None, own, {"registry_name": "n"}):
        for script in ("", "fail", "crash"):
            job = await service.create(request(registry=registry, script=script))
            texts.append(str(await service.ended(job["job_id"])))
            texts.append((await http.get(f"/jobs/images/{job['job_id']}/logs/text")).text)
            texts.append((await http.get(f"/jobs/images/{job['job_id']}/logs")).text)
    texts.append((await http.post("/jobs/images/create", json={**request(), "registry": [own]})).text)
    texts.append((await http.get("/metrics")).text)
    texts.append(caplog.text)
    database = _content(tmp_path)

    secrets = {
        **canaries,
        "password": PASSWORD,
        "signing": environment["DCRX_KV_SECRET_KEY"],
        "encryption": environment["DCRX_KV_ENCRYPTION_KEY"],
    }
    assert ADMIN.encode() in database
    assert [name for name, secret in secrets.items() if secret in "\n".join(texts)] == []
    assert [name for name, secret in secrets.items() if secret.encode() in database] == []


def _content(folder: Path) -> bytes:
    """All files of the database."""
    return b"".join(path.read_bytes() for path in folder.glob("dcrx*"))
