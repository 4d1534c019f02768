"""Databases of every kind, and a service on top of one."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from image_builder.database.address import parse_database_uri
from image_builder.database.connection import Database
from image_builder.database.migrate import upgrade
from image_builder.service_settings import ServiceSettings, read_settings

from . import database_servers
from .database_servers import DatabaseServer
from .doubles import ScriptedBuilder
from .running import RunningService

KINDS = ["sqlite", "postgres", "mariadb"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    with database_servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    with database_servers.mariadb() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/dcrx"
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.new_database()


@pytest_asyncio.fixture
async def database(database_uri: str) -> AsyncIterator[Database]:
    """A new database of each kind in turn, with tables."""
    database = Database(parse_database_uri(database_uri), timedelta(seconds=20))
    await upgrade(database)
    yield database
    await database.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The settings of a service with a database in a file."""
    return {
        "DCRX_KV_SECRET_KEY": secrets.token_hex(32),
        "DCRX_KV_ENCRYPTION_KEY": secrets.token_hex(32),
        "DCRX_KV_DATABASE_URI": f"sqlite+aiosqlite:///{tmp_path}/dcrx",
        "DCRX_KV_WORK_DIR": str(tmp_path / "work"),
        "DCRX_KV_CACHE_DIR": str(tmp_path / "cache"),
        "DCRX_KV_UPLOAD_DIR": str(tmp_path / "uploads"),
        "DOCKER_REGISTRY_URI": "http://127.0.0.1:5000/v2/team",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> ServiceSettings:
    return read_settings(environment)


@pytest.fixture
def builder() -> ScriptedBuilder:
    return ScriptedBuilder()


StartService = Callable[..., Awaitable[RunningService]]


@pytest_asyncio.fixture
async def start(environment: dict[str, str], builder: ScriptedBuilder) -> AsyncIterator[StartService]:
    """Starts services on the test's database; further settings can be given."""
    async with AsyncExitStack() as stack:

        async def start(**changes: str) -> RunningService:
            settings = read_settings({**environment, **changes})
            return await stack.enter_async_context(RunningService.start(settings, builder))

        yield start


@pytest_asyncio.fixture
async def service(start: StartService) -> RunningService:
    """A service whose administrator is signed in."""
    running = await start()
    await running.login()
    return running
