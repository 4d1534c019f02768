"""Large files come in parts, go on where they stopped, and are seen by their owner alone."""

import asyncio
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from image_builder.api.access import COOKIE
from image_builder.uploads import UploadStore
from image_builder.uploads.errors import UploadConflictError

from .conftest import StartService
from .doubles import ScriptedBuilder
from .processes import ServiceProcess, service_process
from .running import ADMIN, PASSWORD, RunningService, comes_true, request

SCRIPT = Path(__file__).with_name("scripted_server.py")
CONTENT = random.Random(6).randbytes(3_000_000)  # noqa: S311 - nothing secret
MIDDLE = 1_234_567


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


DIGEST = digest_of(CONTENT)

Body = bytes | AsyncIterator[bytes]


async def begin(http: httpx.AsyncClient, content: bytes = CONTENT, digest: str = "") -> httpx.Response:
    body = {"digest": digest or digest_of(content), "size": len(content)}
    return await http.post("/uploads/create", json=body)


async def append(http: httpx.AsyncClient, offset: int, data: Body, digest: str = DIGEST) -> httpx.Response:
    headers = {"Upload-Offset": str(offset)}
    return await http.patch(f"/uploads/{digest}/append", content=data, headers=headers)


async def complete(http: httpx.AsyncClient, digest: str = DIGEST) -> httpx.Response:
    return await http.put(f"/uploads/{digest}/complete")


async def upload(http: httpx.AsyncClient, content: bytes = CONTENT) -> str:
    digest = digest_of(content)
    assert (await begin(http, content)).status_code == 200
    assert (await append(http, 0, content, digest)).status_code == 200
    done = await complete(http, digest)
    assert (done.status_code, done.json()["complete"]) == (200, True), done.text
    return digest


async def another_user(service: RunningService) -> httpx.AsyncClient:
    await service.new_user("somebody")
    http = service.another_client()
    await service.login("somebody", http=http)
    return http


def with_file(digest: str) -> dict[str, Any]:
    body = request(files={"large.bin": {"digest": digest}})
    body["layers"].append({"layer_type": "copy", "source": "large.bin", "destination": "/"})
    return body


async def test_a_file_comes_in_parts(service: RunningService) -> None:
    begun = (await begin(service.http)).json()
    first = (await append(service.http, 0, CONTENT[:MIDDLE])).json()
    second = (await append(service.http, MIDDLE, CONTENT[MIDDLE:])).json()
    done = (await complete(service.http)).json()

    assert [answer["offset"] for answer in (begun, first, second, done)] == [0, MIDDLE, 3_000_000, 3_000_000]
    assert [answer["complete"] for answer in (begun, second, done)] == [False, False, True]
    assert (await service.http.get("/uploads/list")).json() == {"uploads": [done]}


async def test_the_same_file_again_is_there_already(service: RunningService) -> None:
    await upload(service.http)

    assert (await begin(service.http)).json()["complete"]
    assert (await complete(service.http)).json()["complete"]


async def test_an_empty_file_is_one_too(service: RunningService) -> None:
    assert (await begin(service.http, b"")).status_code == 200
    assert (await complete(service.http, digest_of(b""))).json()["complete"]


@pytest.mark.parametrize("offset", [0, MIDDLE - 1, MIDDLE + 1])
async def test_a_part_that_begins_elsewhere_is_told_where_to_begin(
    service: RunningService, offset: int
) -> None:
    await begin(service.http)
    await append(service.http, 0, CONTENT[:MIDDLE])

    answer = await append(service.http, offset, CONTENT[offset:])

    assert (answer.status_code, answer.json()["detail"]["offset"]) == (409, MIDDLE)
    assert (await service.http.get(f"/uploads/{DIGEST}/get")).json()["offset"] == MIDDLE


async def test_what_is_not_all_there_is_not_complete(service: RunningService) -> None:
    await begin(service.http)
    await append(service.http, 0, CONTENT[:MIDDLE])

    answer = await complete(service.http)

    assert (answer.status_code, answer.json()["detail"]["offset"]) == (409, MIDDLE)


async def test_a_part_that_is_too_long_leaves_nothing_of_itself(service: RunningService) -> None:
    await begin(service.http)
    await append(service.http, 0, CONTENT[:MIDDLE])

    answer = await append(service.http, MIDDLE, CONTENT[MIDDLE:] + b"!")

    assert (answer.status_code, answer.json()["detail"]["offset"]) == (409, MIDDLE)
    assert (await append(service.http, MIDDLE, CONTENT[MIDDLE:])).status_code == 200
    assert (await complete(service.http)).json()["complete"]


async def test_something_else_than_was_announced_is_thrown_away(service: RunningService) -> None:
    await begin(service.http)
    await append(service.http, 0, CONTENT[::-1])

    answer = await complete(service.http)

    assert (answer.status_code, digest_of(CONTENT[::-1]) in answer.json()["detail"]) == (400, True)
    assert (await service.http.get(f"/uploads/{DIGEST}/get")).status_code == 404
    assert (await begin(service.http)).json()["offset"] == 0


async def test_the_size_of_what_was_begun_stays(service: RunningService) -> None:
    await begin(service.http)

    assert (await begin(service.http, CONTENT[1:], DIGEST)).status_code == 409


async def test_other_users_uploads_are_not_there(service: RunningService) -> None:
    digest = await upload(service.http)
    http = await another_user(service)

    answers = [
        await http.get(f"/uploads/{digest}/get"),
        await append(http, 0, b"", digest),
        await complete(http, digest),
        await http.delete(f"/uploads/{digest}/delete"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await http.get("/uploads/list")).json() == {"uploads": []}
    refused = await http.post("/jobs/images/create", json=with_file(digest))
    assert (refused.status_code, digest in refused.json()["detail"]) == (400, True)
    assert (await begin(http)).json()["offset"] == 0, "who knows a digest has not thereby the file"


async def test_nobody_uploads_without_signing_in(service: RunningService) -> None:
    http = service.another_client()

    assert (await begin(http)).status_code == 401
    assert (await append(http, 0, b"x")).status_code == 401


async def test_one_user_has_a_quota(start: StartService) -> None:
    service = await start(DCRX_KV_UPLOAD_USER_BYTES=str(5_000_000))
    await service.login()
    await upload(service.http)

    refused = await begin(service.http, CONTENT[::-1])

    assert refused.status_code == 413
    assert (refused.json()["detail"]["limit"], refused.json()["detail"]["current"]) == (5_000_000, 6_000_000)
    assert (await begin(await another_user(service))).status_code == 200
    assert (await service.http.delete(f"/uploads/{DIGEST}/delete")).status_code == 200
    assert (await begin(service.http, CONTENT[::-1])).status_code == 200


async def test_all_users_together_have_a_quota(start: StartService) -> None:
    service = await start(DCRX_KV_UPLOAD_TOTAL_BYTES=str(5_000_000))
    await service.login()
    await begin(service.http)  # what is announced counts

    assert (await begin(await another_user(service))).status_code == 413


async def test_a_request_with_a_file_that_is_not_complete_is_refused(service: RunningService) -> None:
    await begin(service.http)

    answer = await service.http.post("/jobs/images/create", json=with_file(DIGEST))

    assert (answer.status_code, DIGEST in answer.json()["detail"]) == (400, True)


async def test_an_order_says_whose_uploads_it_uses(service: RunningService, builder: ScriptedBuilder) -> None:
    digest = await upload(service.http)

    job = await service.create(with_file(digest))

    order = await builder.started.get()
    assert (order.request.digests, str(order.owner_id)) == ({digest}, job["owner_id"])


async def test_what_is_not_used_expires(start: StartService, tmp_path: Path) -> None:
    service = await start(DCRX_KV_UPLOAD_AGE="1h")
    await service.login()
    await upload(service.http)
    await begin(service.http, b"begun")
    used = await upload(service.http, b"used")
    for path in (tmp_path / "uploads").rglob("*"):
        os.utime(path, (0, time.time() - 7200))
    await service.create(with_file(used))

    service.services.uploads.tidy()

    left = (await service.http.get("/uploads/list")).json()["uploads"]
    assert [each["digest"] for each in left] == [used]


async def test_a_build_keeps_what_its_owner_deletes(service: RunningService) -> None:
    digest = await upload(service.http)
    owner = (await service.login()).json()["id"]
    store: UploadStore = service.services.uploads

    with store.lent(owner, [digest]) as folder:
        await service.http.delete(f"/uploads/{digest}/delete")
        store.tidy()
        content = (folder / digest.removeprefix("sha256:")).read_bytes()

    assert content == CONTENT
    assert not folder.exists()


async def test_two_that_send_the_same_are_told_of_each_other(service: RunningService) -> None:
    await begin(service.http)
    store, owner = service.services.uploads, (await service.login()).json()["id"]
    other = store.receive(owner, DIGEST, 0)

    meanwhile = await append(service.http, 0, CONTENT)
    other.write(CONTENT[:MIDDLE])
    other.close()
    afterwards = await append(service.http, MIDDLE, CONTENT[MIDDLE:])

    assert (meanwhile.status_code, meanwhile.json()["detail"]["offset"]) == (409, 0)
    assert (afterwards.status_code, (await complete(service.http)).json()["complete"]) == (200, True)


async def test_what_is_being_sent_is_not_removed(service: RunningService) -> None:
    await begin(service.http)
    store, owner = service.services.uploads, (await service.login()).json()["id"]
    sending = store.receive(owner, DIGEST, 0)

    meanwhile = await service.http.delete(f"/uploads/{DIGEST}/delete")
    sending.close()
    afterwards = await service.http.delete(f"/uploads/{DIGEST}/delete")

    assert (meanwhile.status_code, meanwhile.json()["detail"]["offset"]) == (409, 0)
    assert afterwards.status_code == 200
    assert (await service.http.get("/uploads/list")).json() == {"uploads": []}


async def test_what_is_being_verified_is_not_removed(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(service.http)
    await append(service.http, 0, CONTENT)
    store, owner = service.services.uploads, (await service.login()).json()["id"]
    refused = []

    def verified(path: Path) -> str:
        with pytest.raises(UploadConflictError) as error:
            store.remove(owner, DIGEST)
        refused.append(error.value.offset)
        return DIGEST

    monkeypatch.setattr("image_builder.uploads.store._verified", verified)
    done = await complete(service.http)

    assert (done.status_code, done.json()["complete"]) == (200, True)
    assert refused == [len(CONTENT)]


async def test_what_builds_still_use_counts_in_the_quota(start: StartService) -> None:
    service = await start(DCRX_KV_UPLOAD_TOTAL_BYTES=str(5_000_000))
    owner = (await service.login()).json()["id"]
    digest = await upload(service.http)

    with service.services.uploads.lent(owner, [digest]), service.services.uploads.lent(owner, [digest]):
        await service.http.delete(f"/uploads/{digest}/delete")
        while_used = await begin(service.http, CONTENT[::-1])
    afterwards = await begin(service.http, CONTENT[::-1])

    assert (while_used.status_code, while_used.json()["detail"]["current"]) == (413, 6_000_000)
    assert afterwards.status_code == 200


async def test_what_nfs_keeps_of_removed_files_is_no_upload(service: RunningService, tmp_path: Path) -> None:
    await upload(service.http)
    (place,) = (path for path in (tmp_path / "uploads").iterdir() if path.is_dir())
    (place / ".nfs000000000001").write_bytes(CONTENT)

    assert len((await service.http.get("/uploads/list")).json()["uploads"]) == 1
    assert service.services.uploads.used() == len(CONTENT)
    assert service.services.uploads.tidy() == 0


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Iterator[ServiceProcess]:
    variables = {**environment, "DCRX_KV_ADMIN_USERNAME": ADMIN, "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


async def test_an_upload_goes_on_after_a_kill(process: ServiceProcess) -> None:
    arrived = asyncio.Event()

    async def broken_off() -> AsyncIterator[bytes]:
        yield CONTENT[:MIDDLE]
        await arrived.wait()
        process.kill()
        yield CONTENT[MIDDLE:]

    async with httpx.AsyncClient(base_url=process.url, timeout=60) as http:
        login = await http.post("/users/login", json={"username": ADMIN, "password": PASSWORD})
        token = {"Authorization": f"Bearer {login.cookies[COOKIE]}"}
        await http.post("/uploads/create", json={"digest": DIGEST, "size": len(CONTENT)}, headers=token)
        sending = asyncio.create_task(append(http, 0, broken_off()))

        async def some_of_it() -> bool:
            state = await http.get(f"/uploads/{DIGEST}/get", headers=token)
            return bool(state.json()["offset"])

        assert await comes_true(some_of_it)
        arrived.set()
        with pytest.raises(httpx.TransportError):
            await sending
        await asyncio.to_thread(process.start)
        offset = (await http.get(f"/uploads/{DIGEST}/get", headers=token)).json()["offset"]
        await append(http, offset, CONTENT[offset:])
        done = await complete(http)

    assert 0 < offset <= MIDDLE
    assert done.json()["complete"], done.text
