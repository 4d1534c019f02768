"""The document's walk-through on the page `/docs`, in a real browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Request, expect, sync_playwright

from .processes import ServiceProcess, service_process
from .running import ADMIN, PASSWORD

SCRIPT = Path(__file__).with_name("scripted_server.py")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WAIT = 180_000  # milliseconds


@pytest.fixture
def service(environment: dict[str, str], tmp_path: Path) -> Iterator[ServiceProcess]:
    variables = {**environment, "DCRX_KV_ADMIN_USERNAME": ADMIN, "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS, timeout=WAIT)
        page = browser.new_page()
        page.set_default_timeout(WAIT)
        yield page
        browser.close()


def test_sign_in_order_and_see_the_image_done(page: Page, service: ServiceProcess) -> None:
    asked: list[Request] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{service.url}/docs")

    login = _operation(page, "/users/login")
    login.locator("textarea").fill(json.dumps({"username": ADMIN, "password": PASSWORD}))
    signed_in = _execute(login)
    order = _operation(page, "/jobs/images/create")
    assert json.loads(order.locator("textarea").input_value())["name"] == "hello-world"
    job = _execute(order)
    look = _operation(page, "/jobs/images/{job_id}/get")
    look.get_by_placeholder("job_id").fill(job["job_id"])
    look.get_by_placeholder("wait").fill("20")  # seconds: it answers at the job's end, if that comes before
    seen = _execute(look)

    assert signed_in["username"] == ADMIN
    assert (seen["status"], seen["image"]) == ("DONE", "127.0.0.1:5000/team/hello-world:latest")
    assert errors == []
    assert {request.url for request in asked if not request.url.startswith((service.url, "data:"))} == set()


def _operation(page: Page, path: str) -> Locator:
    block = page.locator(".opblock", has=page.locator(f'[data-path="{path}"]'))
    block.locator(".opblock-summary").click()
    return block


def _execute(block: Locator) -> dict[str, str]:
    with block.page.expect_response(lambda answer: "openapi" not in answer.url) as caught:
        block.locator("button.execute").click()
    assert caught.value.status == 200, caught.value.text()
    expect(block.locator(".live-responses-table tbody .response-col_status")).to_contain_text(
        "200", timeout=WAIT
    )
    answer: dict[str, str] = caught.value.json()
    return answer
