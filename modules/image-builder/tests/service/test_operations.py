"""Health, figures, and the API's own description."""

import re

import pytest

from .conftest import StartService
from .running import RunningService, comes_true, request


async def test_a_service_that_runs_is_alive_and_ready(start: StartService) -> None:
    service = await start()

    for path in ("/health/live", "/health/ready"):
        answer = await service.http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_service_that_can_build_no_more_is_not_alive(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.services.jobs, "claim", broken)

    assert await comes_true(lambda: _status(service, "/health/live", 503))


async def test_figures_tell_what_was_done(service: RunningService) -> None:
    for script in ("", "fail"):
        await service.ended((await service.create(request(script=script)))["job_id"])

    # A job's end is in the database a moment before it is counted.
    for line in (
        "image_builder_jobs_accepted_total 2.0",
        'image_builder_jobs_ended_total{status="DONE"} 1.0',
        'image_builder_jobs_ended_total{status="FAILED"} 1.0',
        'image_builder_jobs{status="BUILDING"} 0.0',
    ):
        assert await comes_true(lambda line=line: _figure(service, line)), line


async def test_the_page_needs_nothing_from_elsewhere(start: StartService) -> None:
    service = await start()

    page = await service.http.get("/docs")

    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for path in loaded:
        assert (await service.http.get(f"/{path}")).status_code == 200, path


async def test_the_description_has_the_documents_example(start: StartService) -> None:
    service = await start()

    description = (await service.http.get("/openapi.json")).json()

    assert "/jobs/images/{job_id}/cancel" in description["paths"]
    (example,) = description["components"]["schemas"]["ImageOrder"]["examples"]
    await service.login()
    assert (await service.http.post("/jobs/images/create", json=example)).status_code == 200


async def _status(service: RunningService, path: str, status: int) -> bool:
    return (await service.http.get(path)).status_code == status


async def _figure(service: RunningService, line: str) -> bool:
    return line in (await service.http.get("/metrics")).text
