"""Ordering images by HTTP, and what becomes of the jobs."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from image_builder.accounts.encryption import Keyring
from image_builder.database.tables import jobs
from image_builder.jobs.job import NewJob
from sqlalchemy import update

from .conftest import StartService
from .doubles import ScriptedBuilder
from .running import ADMIN, RunningService, comes_true, request


async def test_an_ordered_image_is_built_in_the_background(
    service: RunningService, builder: ScriptedBuilder
) -> None:
    answer = await service.http.post("/jobs/images/create", json=request(script="wait"))

    assert answer.status_code == 200
    job = answer.json()
    assert job["job_id"] == job["id"]
    assert (job["name"], job["tag"], job["status"]) == ("hello-world", "latest", "CREATED")
    assert job["image"] == "127.0.0.1:5000/team/hello-world:latest"
    assert job["registry"] == "127.0.0.1:5000/team"
    builder.released.set()
    ended = await service.ended(job["job_id"])
    assert ended["status"] == "DONE"
    assert builder.pushed == {"127.0.0.1:5000/team/hello-world:latest": [ended["digest"]]}
    assert ended["size"] == 1234


async def test_the_request_may_bring_its_own_registry(
    service: RunningService, builder: ScriptedBuilder
) -> None:
    registry = {
        "registry_url": "https://docker.io/v1/mytest/registry",
        "registry_user": "DockerUser100",
        "registry_password": "MyDockerHubToken999*",
    }

    job = await service.create(request(registry=registry))

    assert (await service.ended(job["job_id"]))["status"] == "DONE"
    assert list(builder.pushed) == ["docker.io/mytest/registry/hello-world:latest"]
    order = builder.started.get_nowait()
    assert order.request.registry is not None
    assert order.request.registry.registry_password is not None
    assert order.request.registry.registry_password.get_secret_value() == "MyDockerHubToken999*"


async def test_the_request_may_name_a_registry_that_an_administrator_made(
    service: RunningService, builder: ScriptedBuilder
) -> None:
    made = {
        "registry_name": "team-a",
        "registry_uri": "https://registry.example.com/v2/team-a",
        "registry_user": "robot",
        "registry_password": "beep",
    }
    assert (await service.http.post("/registry/create", json=made)).status_code == 201

    job = await service.create(request(registry={"registry_name": "team-a"}))

    assert (await service.ended(job["job_id"]))["image"] == "registry.example.com/team-a/hello-world:latest"
    unknown = await service.http.post(
        "/jobs/images/create", json=request(registry={"registry_name": "nobody-made-it"})
    )
    assert (unknown.status_code, unknown.json()) == (
        400,
        {"detail": "registry 'nobody-made-it': there is no such registry"},
    )


async def test_without_any_registry_the_request_is_refused(start: StartService) -> None:
    service = await start(DOCKER_REGISTRY_URI="")
    await service.login()

    answer = await service.http.post("/jobs/images/create", json=request())

    assert answer.status_code == 400
    assert "DOCKER_REGISTRY_URI" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("script", "context"),
    [
        ("fail", "the base image does not exist"),
        ("crash", "the service failed at this job; its own log has the reason under "),
    ],
)
async def test_a_failed_job_says_why(service: RunningService, script: str, context: str) -> None:
    job = await service.create(request(script=script))

    ended = await service.ended(job["job_id"])

    assert ended["status"] == "FAILED"
    assert ended["context"].startswith(context)
    assert "a bug" not in ended["context"]


async def test_a_running_build_is_cancelled(service: RunningService, builder: ScriptedBuilder) -> None:
    job = await service.create(request(script="wait"))
    await builder.started.get()

    answer = await service.http.delete(f"/jobs/images/{job['job_id']}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
    assert builder.running == 0
    assert builder.pushed == {}


async def test_a_build_is_cancelled_through_another_process(
    start: StartService, builder: ScriptedBuilder
) -> None:
    building = await start()
    await building.login()
    job = await building.create(request(script="wait"))
    await builder.started.get()
    other = await start()
    await other.login()

    answer = await other.http.delete(f"/jobs/images/{job['job_id']}/cancel")

    assert answer.json()["status"] == "CANCELLED"
    assert builder.running == 0


async def test_an_ended_job_is_not_cancelled(service: RunningService) -> None:
    job = await service.create()
    await service.ended(job["job_id"])

    answer = await service.http.delete(f"/jobs/images/{job['job_id']}/cancel")

    assert answer.json()["status"] == "DONE"


async def test_a_build_that_takes_too_long_ends(start: StartService, builder: ScriptedBuilder) -> None:
    service = await start(DCRX_KV_JOB_TIMEOUT="200ms")
    await service.login()
    job = await service.create(request(script="wait"))

    ended = await service.ended(job["job_id"])

    assert (ended["status"], ended["context"]) == ("FAILED", "took longer than the limit of 0:00:00.200000")
    assert builder.running == 0


async def test_no_more_builds_run_at_once_than_the_pool_is_large(
    start: StartService, builder: ScriptedBuilder
) -> None:
    service = await start(DCRX_KV_JOB_POOL_SIZE="2")
    await service.login()
    jobs = [await service.create(request(f"image-{number}", script="wait")) for number in range(6)]
    await builder.started.get()
    await builder.started.get()

    builder.released.set()

    assert {(await service.ended(job["job_id"]))["status"] for job in jobs} == {"DONE"}
    assert builder.most_running == 2


async def test_a_full_queue_is_answered_with_the_limit(start: StartService, builder: ScriptedBuilder) -> None:
    service = await start(DCRX_KV_JOB_POOL_SIZE="1", DCRX_KV_JOB_MAX_PENDING="2")
    await service.login()
    await service.create(request(script="wait"))
    await builder.started.get()  # this one waits no more
    for _ in range(2):
        await service.create(request(script="wait"))

    answer = await service.http.post("/jobs/images/create", json=request())

    assert answer.status_code == 429
    detail = answer.json()["detail"]
    assert (detail["limit"], detail["current"]) == (2, 2)
    assert int(answer.headers["retry-after"]) > 0
    builder.released.set()


async def test_above_the_memory_limit_the_request_is_refused(start: StartService) -> None:
    """The test's own process uses more than a millionth of the memory."""
    service = await start(DCRX_KV_MAX_MEMORY_PERCENT_USAGE="0.000001")
    await service.login()
    assert await comes_true(lambda: service.services.memory_percent > 0)

    answer = await service.http.post("/jobs/images/create", json=request())

    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert detail["limit"] == 0.000001
    assert detail["current"] > 0


async def test_a_finished_job_leaves_memory_and_its_record_stays(start: StartService) -> None:
    service = await start(DCRX_KV_JOB_MAX_AGE="50ms", DCRX_KV_JOB_PRUNE_INTERVAL="50ms")
    await service.login()
    job = await service.create()
    ended = await service.ended(job["job_id"])

    assert await comes_true(lambda: len(service.services.recent) == 0)

    assert await service.get(job["job_id"]) == ended


async def test_jobs_of_a_stopped_service_go_on_in_the_next(
    environment: dict[str, str], builder: ScriptedBuilder, start: StartService
) -> None:
    from image_builder.service_settings import read_settings

    async with RunningService.start(read_settings(environment), builder) as first:
        await first.login()
        job = await first.create(request(script="wait"))
        await builder.started.get()
    assert builder.running == 0
    builder.released.set()

    second = await start()
    await second.login()

    ended = await second.ended(job["job_id"])
    assert (ended["status"], ended["attempt"]) == ("DONE", 1)


async def test_a_lease_that_ran_out_in_its_own_process_leaves_one_build(
    start: StartService, builder: ScriptedBuilder
) -> None:
    """As on a machine that is so busy that the process does nothing for longer than its lease."""
    service = await start(DCRX_KV_JOB_LEASE="1h")
    await service.login()
    job = await service.create(request(script="wait"))
    await builder.started.get()

    run_out = update(jobs).values(lease_until=1)
    await service.services.database.write(lambda connection: connection.execute(run_out))
    service.services.intake.accepted.set()

    await builder.started.get()
    assert await comes_true(lambda: builder.running == 1), "the first attempt goes on"
    cancelled = await service.http.delete(f"/jobs/images/{job['job_id']}/cancel")
    assert (await service.ended(job["job_id"]))["status"] == "CANCELLED", cancelled.text
    assert await comes_true(lambda: builder.running == 0)


async def test_jobs_of_others_are_not_there(service: RunningService) -> None:
    await service.new_user("somebody")
    job = await service.create()
    other = service.another_client()
    await service.login("somebody", http=other)

    for method, path in (("GET", "get"), ("DELETE", "cancel"), ("GET", "logs"), ("GET", "logs/text")):
        answer = await other.request(method, f"/jobs/images/{job['job_id']}/{path}")
        assert answer.status_code == 404, path
    assert (await other.get("/jobs/images/list")).json() == {"jobs": []}
    assert len((await service.http.get("/jobs/images/list")).json()["jobs"]) == 1


async def test_a_list_goes_on_behind_its_last_job(service: RunningService) -> None:
    for number in range(3):
        await service.create(request(f"image-{number}"))

    async def page(**cursor: str | int) -> list[dict[str, Any]]:
        answer = await service.http.get("/jobs/images/list", params={"limit": 2, **cursor})
        return list(answer.json()["jobs"])

    first = await page()
    made = round(datetime.fromisoformat(first[-1]["created_at"]).timestamp() * 1000)
    second = await page(before=made, before_id=first[-1]["id"])

    assert {job["name"] for job in [*first, *second]} == {"image-0", "image-1", "image-2"}
    assert len(second) == 1


@pytest.mark.parametrize("job_id", ["x", "1", "%00", "00000000-0000-0000-0000-00000000000g"])
async def test_a_malformed_id_is_the_clients_mistake(service: RunningService, job_id: str) -> None:
    assert (await service.http.get(f"/jobs/images/{job_id}/get")).status_code == 422
    assert (await service.http.delete(f"/jobs/images/{job_id}/cancel")).status_code == 422


async def test_an_unknown_job_is_not_found(service: RunningService) -> None:
    assert (await service.http.get(f"/jobs/images/{uuid.uuid4()}/get")).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"layers": []}, "layers"),
        ({"name": "UPPER"}, "name"),
        ({"tag": "a b"}, "tag"),
        ({"nmae": "x"}, "nmae"),
        ({"registry": {"registry_password": "canary-of-a-password"}}, "registry"),
    ],
)
async def test_a_wrong_request_names_the_field_and_repeats_no_value(
    service: RunningService, change: dict[str, Any], field: str
) -> None:
    answer = await service.http.post("/jobs/images/create", json={**request(), **change})

    assert answer.status_code == 422
    assert field in json.dumps([item["loc"] for item in answer.json()["detail"]])
    assert "canary" not in answer.text


async def test_a_body_that_is_too_large_is_refused(start: StartService) -> None:
    service = await start(DCRX_KV_MAX_REQUEST_BYTES="2000")
    await service.login()

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    for content in (b"x" * 3000, in_parts()):
        answer = await service.http.post(
            "/jobs/images/create", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413


async def test_the_log_is_there_live_and_to_the_end(
    service: RunningService, builder: ScriptedBuilder
) -> None:
    job = await service.create(request(script="wait"))
    following = asyncio.create_task(_events(service, job["job_id"]))
    await builder.started.get()
    builder.released.set()

    events = await following

    kinds = [(event["event"], event["data"].get("text")) for event in events[:-1]]
    assert kinds == [
        ("status", "BUILDING"),
        ("log", "building hello-world\n"),
        ("status", "PUSHING"),
        ("status", "DONE"),
    ]
    assert events[-1]["event"] == "end"
    assert events[-1]["data"]["status"] == "DONE"
    text = await service.http.get(f"/jobs/images/{job['job_id']}/logs/text")
    assert text.text == "building hello-world\n"


async def test_a_followed_log_goes_on_where_it_broke(service: RunningService) -> None:
    job = await service.create()
    await service.ended(job["job_id"])
    all_events = await _events(service, job["job_id"])

    rest = await _events(service, job["job_id"], {"Last-Event-ID": all_events[1]["id"]})

    assert rest == all_events[2:]
    assert await _events(service, job["job_id"], {"Last-Event-ID": "nonsense"}) == all_events


async def test_a_log_shows_no_password_of_a_registry(service: RunningService) -> None:
    registry = {"registry_url": "r.example.com", "registry_user": "u", "registry_password": "canary-1234"}
    job = await service.create(request(registry=registry))
    await service.ended(job["job_id"])

    text = await service.http.get(f"/jobs/images/{job['job_id']}/logs/text")

    assert text.text == "building hello-world\nsigning in with ********\n"


async def _events(
    service: RunningService, job_id: str, headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    answer = await service.http.get(f"/jobs/images/{job_id}/logs", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = []
    for part in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def test_the_answer_about_a_job_can_wait_for_its_end(
    service: RunningService, builder: ScriptedBuilder
) -> None:
    job = await service.create(request(script="wait"))
    path = f"/jobs/images/{job['job_id']}/get"

    early = await service.http.get(path, params={"wait": 0.1})
    waiting = asyncio.create_task(service.http.get(path, params={"wait": 20}, timeout=60))
    await builder.started.get()
    builder.released.set()

    assert early.json()["status"] not in ("DONE", "FAILED", "CANCELLED")
    assert (await waiting).json()["status"] == "DONE"


async def test_nobody_can_wait_for_long(service: RunningService) -> None:
    job = await service.create()
    answer = await service.http.get(f"/jobs/images/{job['job_id']}/get", params={"wait": 21})
    assert answer.status_code == 422


async def test_a_job_whose_request_is_no_longer_valid_fails_with_the_field(service: RunningService) -> None:
    """It was accepted by an earlier version of the service, which was stopped before it was built."""
    mount = {"mount_type": "tmpfs", "target": "/t", "size": 9_999_999}
    body = request("old")
    body["layers"].insert(1, {"layer_type": "run", "command": "true", "mount": mount})
    stored = json.dumps(body)
    me = (await service.services.users.by_name(ADMIN)).id
    job = NewJob(uuid.uuid4(), me, "old", "latest", "r:5000", "r:5000/old:latest", stored, None)

    await service.services.jobs.accept([job], 10)
    service.services.intake.accepted.set()

    ended = await service.ended(str(job.id))
    assert ended["status"] == "FAILED"
    assert ended["context"].startswith("request.layers.1.run.mount")
    assert "9999999" not in ended["context"]
    assert "send it again" in ended["context"]


async def test_a_job_whose_registry_is_no_longer_valid_fails_with_the_field(service: RunningService) -> None:
    target = {"registry_url": "https://me:canary@r:5000", "registry_user": None, "registry_password": None}
    sealed = Keyring([service.services.settings.listed_encryption_keys[0]]).encrypt(json.dumps(target))
    me = (await service.services.users.by_name(ADMIN)).id
    stored = json.dumps(request("old"))
    job = NewJob(uuid.uuid4(), me, "old", "latest", "r:5000", "r:5000/old:latest", stored, sealed)

    await service.services.jobs.accept([job], 10)
    service.services.intake.accepted.set()

    ended = await service.ended(str(job.id))
    assert ended["status"] == "FAILED"
    assert ended["context"].startswith("registry.registry_url")
    assert "canary" not in ended["context"]
