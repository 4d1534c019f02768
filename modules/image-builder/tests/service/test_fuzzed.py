"""schemathesis: whatever is sent, answers are as described, and none says that the service failed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from image_builder.api.access import COOKIE

from .conftest import KINDS
from .database_servers import DatabaseServer
from .processes import ServiceProcess, clean_environment, service_process
from .running import ADMIN, PASSWORD

LONG = bool(os.environ.get("AIRGAP_LONG"))
EXAMPLES = "200" if LONG else "10"
# Most cases of `coverage` are refused before any database is asked: by default one is enough for them.
PHASES = {
    "sqlite": "examples,coverage,fuzzing",
    "postgres": "examples,fuzzing",
    "mariadb": "examples,fuzzing",
}
# A schema cannot say that stages stand in order, or that a registry of that name exists.
LEFT_OUT = "positive_data_acceptance"
PROGRAM = Path(sys.executable).with_name("schemathesis")  # pytest may run without its environment's PATH
SCRIPT = Path(__file__).with_name("scripted_server.py")
HOOKS = {"PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Of which kind the database is."""
    return str(request.param)


@pytest.fixture
def service(
    kind: str, request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[ServiceProcess]:
    variables = {
        **environment,
        "DCRX_KV_ADMIN_USERNAME": ADMIN,
        "DCRX_KV_ADMIN_PASSWORD": PASSWORD,
        "DCRX_KV_TOKEN_EXPIRATION": "2h",
    }
    if kind != "sqlite":
        server: DatabaseServer = request.getfixturevalue(kind)
        variables["DCRX_KV_DATABASE_URI"] = server.new_database()
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


def test_nothing_that_is_sent_breaks_the_service(kind: str, service: ServiceProcess, tmp_path: Path) -> None:
    """Signing out is left out: what came after it would be refused before it is looked at."""
    assert PROGRAM.exists(), "needs schemathesis (uv sync)"
    login = httpx.post(f"{service.url}/users/login", json={"username": ADMIN, "password": PASSWORD})

    done = subprocess.run(
        [
            *(PROGRAM, "run", str(_description(service, tmp_path)), "--url", service.url),
            *("--header", f"Authorization: Bearer {login.cookies[COOKIE]}"),
            *("--checks", "all", "--exclude-checks", LEFT_OUT),
            *("--phases", PHASES["sqlite"] if LONG else PHASES[kind]),
            *("--exclude-path", "/users/logout"),
            *("--max-examples", EXAMPLES),
            *("--seed", "6"),
            *("--request-timeout", "60"),
            *("--suppress-health-check", "all"),
        ],
        env=clean_environment({"HOME": str(tmp_path), **HOOKS, "OWN_ID": login.json()["id"]}),
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
