"""Fixtures of the HTTP/1.1 client's tests."""

from collections.abc import AsyncIterator

import pytest
from dockerimage_replication.http1.client import Client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """One that waits long enough for this machine, and not for a peer that has stopped."""
    client = Client(idle_timeout=30.0, user_agent="test")
    yield client
    client.close()


@pytest.fixture
async def impatient() -> AsyncIterator[Client]:
    client = Client(idle_timeout=0.1, user_agent="test")
    yield client
    client.close()


@pytest.fixture
async def patient() -> AsyncIterator[Client]:
    """For peers that are slow, where a busy machine must not make them look worse."""
    client = Client(idle_timeout=2.0, user_agent="test")
    yield client
    client.close()
