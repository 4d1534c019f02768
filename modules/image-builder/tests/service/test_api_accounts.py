"""Signing in, and who may do what."""

import asyncio
import uuid
from datetime import timedelta

import httpx
import pytest
from image_builder.api.access import COOKIE
from image_builder.database.tables import login_failures
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .conftest import StartService
from .running import ADMIN, PASSWORD, RunningService, comes_true, request


async def test_login_answers_with_name_and_id_and_sets_the_cookie(start: StartService) -> None:
    service = await start()

    answer = await service.login()

    assert answer.status_code == 200
    body = answer.json()
    assert body["username"] == ADMIN
    assert uuid.UUID(body["id"])
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert "token" not in body


async def test_by_https_the_cookie_is_secure(start: StartService) -> None:
    service = await start()

    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://service") as http:
        answer = await service.login(http=http)

    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(("username", "password"), [(ADMIN, "wrong"), ("nobody", PASSWORD), ("", "")])
async def test_a_wrong_login_does_not_say_what_is_wrong(
    start: StartService, username: str, password: str
) -> None:
    service = await start()

    answer = await service.login(username, password)

    assert answer.status_code == 401
    assert answer.json() == {"detail": "the username or the password is wrong"}
    assert "set-cookie" not in answer.headers


async def test_who_is_not_signed_in_may_only_ask_for_health(start: StartService) -> None:
    service = await start()
    paths = {
        (method, path)
        for path, operations in (await service.http.get("/openapi.json")).json()["paths"].items()
        for method in operations
    }

    open_paths = set()
    for method, path in paths:
        concrete = path.replace("{job_id}", str(uuid.uuid4()))
        for name in ("user_id_or_name", "user_id", "registry_id_or_name", "registry_id"):
            concrete = concrete.replace("{" + name + "}", str(uuid.uuid4()))
        answer = await service.http.request(method.upper(), concrete, json=request())
        if answer.status_code != 401:
            open_paths.add(path)

    assert open_paths == {"/users/login", "/health/live", "/health/ready", "/metrics"}


async def test_the_token_works_in_a_header_too(service: RunningService) -> None:
    token = service.http.cookies[COOKIE]

    answer = await service.another_client().get(
        f"/users/{ADMIN}/get", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 200


async def test_an_expired_token_is_worthless(start: StartService) -> None:
    service = await start(DCRX_KV_TOKEN_EXPIRATION="1s")
    await service.login()
    token = service.http.cookies[COOKIE]

    assert await comes_true(lambda: _refused(service, token))


async def test_after_logout_the_token_is_worthless(service: RunningService) -> None:
    token = service.http.cookies[COOKIE]

    answer = await service.http.post("/users/logout")

    assert answer.status_code == 200
    assert (await _with_token(service, token)).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_made_up_token_is_worthless(start: StartService, token: str) -> None:
    assert (await _with_token(await start(), token)).status_code == 401


async def test_a_disabled_user_can_neither_sign_in_nor_go_on(service: RunningService) -> None:
    user_id = await service.new_user("somebody")
    other = service.another_client()
    await service.login("somebody", http=other)
    assert (await other.get("/users/somebody/get")).status_code == 200

    changed = await service.http.put("/users/update", json={"id": str(user_id), "disabled": True})

    assert (changed.status_code, changed.json()["disabled"]) == (202, True)
    assert (await other.get("/users/somebody/get")).status_code == 401
    assert (await service.login("somebody", http=other)).status_code == 401


async def test_an_update_changes_one_user_only(service: RunningService) -> None:
    first, second = await service.new_user("first"), await service.new_user("second")

    await service.http.put("/users/update", json={"id": str(first), "first_name": "Changed"})

    assert (await service.http.get(f"/users/{first}/get")).json()["first_name"] == "Changed"
    assert (await service.http.get(f"/users/{second}/get")).json()["first_name"] == ""
    assert (await service.http.get(f"/users/{ADMIN}/get")).json()["first_name"] == ""


async def test_a_new_password_counts_and_ends_all_sessions(service: RunningService) -> None:
    user_id = await service.new_user("somebody")
    other = service.another_client()
    await service.login("somebody", http=other)

    answer = await other.put("/users/update", json={"id": str(user_id), "password": "a new long password"})

    assert answer.status_code == 202
    assert (await other.get("/users/somebody/get")).status_code == 401
    assert (await service.login("somebody", PASSWORD, http=other)).status_code == 401
    assert (await service.login("somebody", "a new long password", http=other)).status_code == 200


async def test_who_is_no_administrator_may_do_little(service: RunningService) -> None:
    user_id = await service.new_user("somebody")
    other = service.another_client()
    await service.login("somebody", http=other)
    new = {"username": "another", "password": PASSWORD}
    own, foreign = {"id": str(user_id)}, {"id": str(uuid.uuid4())}

    refused = [
        await other.post("/users/create", json=new),
        await other.get(f"/users/{ADMIN}/get"),
        await other.put("/users/update", json={**own, "administrator": True}),
        await other.put("/users/update", json={**own, "disabled": False}),
        await other.put("/users/update", json={**foreign, "first_name": "x"}),
        await other.delete(f"/users/{user_id}/delete"),
        await other.post("/registry/create", json={"registry_name": "r", "registry_uri": "r.example.com"}),
        await other.delete(f"/registry/{uuid.uuid4()}/delete"),
    ]

    assert [answer.status_code for answer in refused] == [403] * len(refused)
    allowed = await other.put("/users/update", json={**own, "first_name": "Some", "email": "s@example.com"})
    assert allowed.status_code == 202


@pytest.mark.parametrize("address", ["https://robot:canary@r.example.com", "my registry"])
async def test_a_registry_has_an_address(service: RunningService, address: str) -> None:
    """One that no request could use is not kept; and nobody is shown what was in it."""
    answer = await service.http.post("/registry/create", json={"registry_name": "r", "registry_uri": address})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "registry_uri"]
    assert "canary" not in answer.text
    assert (await service.http.get("/registry/r/get")).status_code == 404


async def test_a_name_is_given_once(service: RunningService) -> None:
    await service.new_user("somebody")

    answer = await service.http.post("/users/create", json={"username": "somebody", "password": PASSWORD})

    assert (answer.status_code, answer.json()) == (409, {"detail": "there is a user 'somebody' already"})


async def test_the_last_administrator_stays(service: RunningService) -> None:
    admin = (await service.http.get(f"/users/{ADMIN}/get")).json()["id"]

    for answer in (
        await service.http.put("/users/update", json={"id": admin, "disabled": True}),
        await service.http.put("/users/update", json={"id": admin, "administrator": False}),
        await service.http.delete(f"/users/{admin}/delete"),
    ):
        assert answer.status_code == 409


async def test_guessing_passwords_becomes_slow(start: StartService) -> None:
    service = await start()
    for _ in range(5):
        assert (await service.login(ADMIN, "a guess")).status_code == 401
    # As after many more, so that a slow machine is no way around either.
    more = update(login_failures).values(failures=login_failures.c.failures + 20)
    await service.services.database.write(lambda connection: connection.execute(more))

    throttled = await service.login(ADMIN, PASSWORD)

    assert throttled.status_code == 429
    assert 60 < int(throttled.headers["retry-after"]) <= 900


async def test_guessing_many_at_once_is_no_way_around(start: StartService) -> None:
    service = await start()

    answers = await asyncio.gather(*(service.login(ADMIN, f"guess {number}") for number in range(20)))

    # Five are free; a slow machine takes the seconds after which the next ones are allowed.
    assert sum(answer.status_code == 401 for answer in answers) <= 10
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_a_right_password_forgets_the_wrong_ones(start: StartService) -> None:
    service = await start()
    for _ in range(3):
        for _ in range(4):
            await service.login(ADMIN, "a guess")

        assert (await service.login()).status_code == 200


async def test_failures_fade_also_while_others_sign_in(start: StartService) -> None:
    """Many share an address: what one of them mistypes now and then must not add up for ever."""
    service = await start()
    for number in range(4):
        await service.login(ADMIN, f"a guess {number}")

    for _ in range(12):  # two hours
        await _later(service, timedelta(minutes=10))
        assert (await service.login()).status_code == 200

    left = await _failures(service)
    assert max(left) == 0, left


async def test_free_tries_come_back_evenly(start: StartService) -> None:
    service = await start()
    for _ in range(5):
        assert (await service.login(ADMIN, "a guess")).status_code == 401

    await _later(service, timedelta(minutes=36))  # three fifths of an hour

    answers = [(await service.login(ADMIN, "a guess")).status_code for _ in range(3)]
    assert answers == [401] * 3


async def test_names_that_were_guessed_are_not_kept_for_ever(start: StartService) -> None:
    service = await start()
    for number in range(3):
        await service.login(f"nobody-{number}", "a guess")
    await _later(service, timedelta(hours=2))

    assert (await service.login()).status_code == 200

    assert len(await _failures(service)) == 2  # of the name and the address that have just signed in


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_origin_can_change_nothing(
    service: RunningService, headers: dict[str, str]
) -> None:
    for path, body in (
        ("/jobs/images/create", request()),
        ("/users/create", {"username": "x", "password": PASSWORD}),
        ("/users/login", {"username": ADMIN, "password": PASSWORD}),
        ("/users/logout", None),
    ):
        answer = await service.http.post(path, json=body, headers=headers)
        assert answer.status_code == 403, path
    own = {"Origin": "http://service", "Sec-Fetch-Site": "same-origin"}
    assert (await service.http.post("/jobs/images/create", json=request(), headers=own)).status_code == 200


async def test_a_registry_is_made_changed_and_removed(service: RunningService) -> None:
    made = {
        "registry_name": "team-a",
        "registry_uri": "https://registry.example.com/v2/a",
        "registry_user": "robot",
        "registry_password": "canary-beep",
    }
    created = await service.http.post("/registry/create", json=made)
    registry_id = created.json()["id"]

    again = await service.http.post("/registry/create", json=made)
    changed = await service.http.put("/registry/update", json={"id": registry_id, "registry_user": "other"})
    by_name = await service.http.get("/registry/team-a/get")
    by_id = await service.http.get(f"/registry/{registry_id}/get")
    removed = await service.http.delete(f"/registry/{registry_id}/delete")
    gone = await service.http.get("/registry/team-a/get")

    answers = [created, again, changed, by_name, by_id, removed, gone]
    assert [answer.status_code for answer in answers] == [201, 409, 202, 200, 200, 200, 404]
    assert by_name.json() == by_id.json() == changed.json()
    assert changed.json()["registry_user"] == "other"
    assert "canary" not in "".join(answer.text for answer in answers)


async def _refused(service: RunningService, token: str) -> bool:
    return (await _with_token(service, token)).status_code == 401


async def _with_token(service: RunningService, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await service.another_client().get(f"/users/{ADMIN}/get", headers=headers)


async def _later(service: RunningService, time: timedelta) -> None:
    """As if that much time had passed since the last try."""
    earlier = update(login_failures).values(
        last_at=login_failures.c.last_at - time // timedelta(milliseconds=1)
    )
    await service.services.database.write(lambda connection: connection.execute(earlier))


async def _failures(service: RunningService) -> list[int]:
    query = select(login_failures.c.failures)

    async def work(connection: AsyncConnection) -> list[int]:
        return list((await connection.execute(query)).scalars())

    return await service.services.database.read(work)
