"""A service in the test's own loop, called as over HTTP."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from image_builder.accounts.users import Person
from image_builder.api.app import make_app
from image_builder.api.services import Services
from image_builder.database.migrate import upgrade
from image_builder.jobs.builder import Builder
from image_builder.service import make_administrator
from image_builder.service_settings import ServiceSettings

ADMIN = "admin"
PASSWORD = "correct horse battery"
WITHIN = 120.0  # seconds until what has to happen has happened


def request(name: str = "hello-world", *, script: str = "", **more: object) -> dict[str, Any]:
    """The document's example, with what a scripted builder should do."""
    layers: list[dict[str, Any]] = [{"layer_type": "stage", "base": "python", "tag": "3.11-slim"}]
    if script:
        layers.append({"layer_type": "label", "name": "script", "value": script})
    layers.append({"layer_type": "entrypoint", "command": ["echo", "Hello world!"]})
    return {"name": name, "tag": "latest", "layers": layers, **more}


async def comes_true(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    """Whether it holds within the time."""
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return True
        await asyncio.sleep(0.02)
    return False


@dataclass
class RunningService:
    """A service and a client of it."""

    services: Services
    http: httpx.AsyncClient
    app: FastAPI
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def start(cls, settings: ServiceSettings, builder: Builder) -> AsyncIterator["RunningService"]:
        services = Services.of(settings, builder)
        await upgrade(services.database)
        await make_administrator(services, Person(ADMIN, administrator=True), PASSWORD)
        app = make_app(services)
        async with services.running():
            running = cls(services, _client(app), app)
            try:
                yield running
            finally:
                for client in [running.http, *running.clients]:
                    await client.aclose()

    def another_client(self) -> httpx.AsyncClient:
        self.clients.append(_client(self.app))
        return self.clients[-1]

    async def login(
        self, username: str = ADMIN, password: str = PASSWORD, http: httpx.AsyncClient | None = None
    ) -> httpx.Response:
        body = {"username": username, "password": password}
        return await (http or self.http).post("/users/login", json=body)

    async def create(self, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.http.post("/jobs/images/create", json=body or request())
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    async def get(self, job_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/jobs/images/{job_id}/get")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    async def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        return await self.reached(job_id, "DONE", "FAILED", "CANCELLED")

    async def reached(self, job_id: str, *statuses: str) -> dict[str, Any]:
        until = time.monotonic() + WITHIN
        while True:
            job = await self.get(job_id)
            if job["status"] in statuses:
                return job
            assert time.monotonic() < until, job
            await asyncio.sleep(0.02)

    async def new_user(self, username: str, **more: object) -> uuid.UUID:
        body = {"username": username, "password": PASSWORD, **more}
        answer = await self.http.post("/users/create", json=body)
        assert answer.status_code == 201, answer.text
        return uuid.UUID(answer.json()["id"])


def _client(app: FastAPI) -> httpx.AsyncClient:
    # As uvicorn does, an error of the application is an answer.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")
