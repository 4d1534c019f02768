"""Registries and clients for the tests of the registry client."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parents[2]))

from .support import Client, docker_registry


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def source_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("source")) as address:
        yield address


@pytest.fixture
def destination_address(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path) as address:
        yield address


@pytest.fixture
def protected_address(tmp_path: Path) -> Iterator[str]:
    """A registry that wants the user and the password of `support`."""
    with docker_registry(tmp_path, htpasswd=True) as address:
        yield address


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def source(session: aiohttp.ClientSession, source_address: str) -> Client:
    return Client(session, source_address)


@pytest.fixture
def destination(session: aiohttp.ClientSession, destination_address: str) -> Client:
    return Client(session, destination_address)
