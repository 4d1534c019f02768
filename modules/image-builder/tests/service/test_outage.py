"""The database goes away for a while: nothing is lost, and no answer leaves the client without a job's id."""

import asyncio
import os

import httpx
import pytest

from .conftest import StartService
from .database_servers import DatabaseServer
from .doubles import ScriptedBuilder
from .running import PASSWORD, RunningService, request

SECONDS = 30 if os.environ.get("AIRGAP_LONG") else 3


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(request.param)
    return found


async def test_an_outage_is_survived(
    start: StartService, server: DatabaseServer, builder: ScriptedBuilder
) -> None:
    service = await start(
        DCRX_KV_DATABASE_URI=server.new_database(),
        DCRX_KV_DATABASE_PATIENCE="5m",  # a server that recovers on a busy machine takes its time
        DCRX_KV_JOB_MAX_PENDING="100000",
    )
    await service.login()
    before = [await service.create(request(f"before-{number}", script="wait")) for number in range(5)]
    await builder.started.get()

    server.kill()
    during = [asyncio.create_task(_order(service, f"during-{number}")) for number in range(20)]
    asked = asyncio.create_task(service.http.get(f"/jobs/images/{before[0]['job_id']}/get"))
    await asyncio.sleep(SECONDS)
    live = await service.http.get("/health/live")
    ready = await service.http.get("/health/ready")
    builder.released.set()
    await asyncio.to_thread(server.start)

    assert (live.status_code, ready.status_code) == (200, 503)
    assert (await asked).status_code == 200
    answers = [await task for task in during]
    assert [answer.status_code for answer in answers] == [200] * 20
    for job in [*before, *(answer.json() for answer in answers)]:
        assert (await service.ended(job["job_id"]))["status"] == "DONE"


async def test_who_waited_in_vain_gets_the_id_of_the_job(start: StartService, server: DatabaseServer) -> None:
    service = await start(DCRX_KV_DATABASE_URI=server.new_database(), DCRX_KV_DATABASE_PATIENCE="500ms")
    await service.login()
    await service.create()
    server.kill()
    try:
        ordered = await _order(service, "in-vain")
        asked = await service.http.get("/jobs/images/00000000-0000-0000-0000-000000000000/get")
        login = await service.login("somebody", PASSWORD, service.another_client())
    finally:
        await asyncio.to_thread(server.start)

    assert ordered.status_code == 503
    assert ordered.headers["retry-after"]
    detail = ordered.json()["detail"]
    assert asked.status_code == login.status_code == 503
    assert "sql" not in (ordered.text + asked.text + login.text).lower()
    job = await service.http.get(f"/jobs/images/{detail['job_id']}/get")
    assert job.status_code in (200, 404)


async def _order(service: RunningService, name: str) -> httpx.Response:
    return await service.http.post("/jobs/images/create", json=request(name))
