"""Behind a reverse proxy that speaks https: the cookie is for https alone, if the proxy is trusted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from .processes import ServiceProcess, service_process
from .running import ADMIN, PASSWORD

SCRIPT = Path(__file__).with_name("scripted_server.py")
Start = Callable[..., ServiceProcess]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    variables = {**environment, "DCRX_KV_ADMIN_USERNAME": ADMIN, "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
    with ExitStack() as stack:

        def start(**changes: str) -> ServiceProcess:
            script = [str(SCRIPT), "PORT", str(tmp_path / "pushes")]
            return stack.enter_context(service_process(script, {**variables, **changes}, tmp_path))

        yield start


def cookie(service: ServiceProcess, **headers: str) -> str:
    """What signing in sets, with the headers that a proxy adds."""
    body = {"username": ADMIN, "password": PASSWORD}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx.post(f"{service.url}/users/login", json=body, headers=sent)
    assert answer.status_code == 200, answer.text
    return answer.headers["set-cookie"]


def test_the_cookie_is_for_https_when_the_page_came_by_https(start: Start) -> None:
    service = start()

    assert "Secure" in cookie(service, X_Forwarded_Proto="https", X_Forwarded_For="198.51.100.7")
    assert "Secure" not in cookie(service, X_Forwarded_Proto="http")
    assert "Secure" not in cookie(service)


@pytest.mark.parametrize(("trusted", "secure"), [("10.1.2.3", False), ("127.0.0.0/8", True), ("*", True)])
def test_only_trusted_proxies_are_believed(start: Start, trusted: str, secure: bool) -> None:
    service = start(FORWARDED_ALLOW_IPS=trusted)

    assert ("Secure" in cookie(service, X_Forwarded_Proto="https")) is secure
