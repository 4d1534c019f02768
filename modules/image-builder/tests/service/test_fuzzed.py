"""schemathesis: whatever is sent, answers are as described, and none says that the service failed."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import httpx
import pytest
from image_builder.api.access import COOKIE

from .database_servers import DatabaseServer
from .processes import ServiceProcess, clean_environment, service_process
from .running import ADMIN, PASSWORD

LONG = bool(os.environ.get("AIRGAP_LONG"))
KINDS = ["sqlite", "postgres", "mariadb"] if LONG else ["sqlite"]
EXAMPLES = "200" if LONG else "15"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SCRIPT = Path(__file__).with_name("scripted_server.py")


@pytest.fixture(params=KINDS)
def service(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[ServiceProcess]:
    variables = {
        **environment,
        "DCRX_KV_ADMIN_USERNAME": ADMIN,
        "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
        "DCRX_KV_TOKEN_EXPIRATION": "2h",
    }
    if request.param != "sqlite":
        server: DatabaseServer = request.getfixturevalue(request.param)
        variables["DCRX_KV_DATABASE_URI"] = server.new_database()
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


def test_nothing_that_is_sent_breaks_the_service(service: ServiceProcess, tmp_path: Path) -> None:
    """Signing out is left out: what came after it would be refused before it is looked at."""
    program = which("schemathesis")
    if program is None:
        pytest.skip("schemathesis is not installed")
    login = httpx.post(f"{service.url}/users/login", json={"username": ADMIN, "password": PASSWORD})

    done = subprocess.run(
        [
            *(program, "run", str(_description(service, tmp_path)), "--url", service.url),
            *("--header", f"Authorization: Bearer {login.cookies[COOKIE]}"),
            *("--checks", CHECKS),
            *("--phases", "examples,coverage,fuzzing"),
            *("--exclude-path", "/users/logout"),
            *("--max-examples", EXAMPLES),
            *("--seed", "6"),
            *("--request-timeout", "60"),
            *("--suppress-health-check", "all"),
        ],
        env=clean_environment({"HOME": str(tmp_path)}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=3600,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "a request failed" not in service.log.read_text()


def _description(service: ServiceProcess, folder: Path) -> Path:
    """The service's description without what it says of signing in: else most calls come as a nobody's."""
    description = httpx.get(f"{service.url}/openapi.json").json()
    del description["components"]["securitySchemes"]
    for operations in description["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    path = folder / "openapi.json"
    path.write_text(json.dumps(description))
    return path
