"""What the tests are made of: real registries, servers that record, and images."""

import hashlib
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from dockerimage_replication.oci.download import Download
from dockerimage_replication.oci.manifests import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
)
from dockerimage_replication.oci.meter import Meter
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.oci.retry import RetryPolicy

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MIB = 1024 * 1024
IMPATIENT = RetryPolicy(tries=3, first_delay=0.001, longest_delay=0.001)

USERNAME = "robot"
CANARY = "canary-password-7f3a"
CANARY_BCRYPT = "$2b$04$TJxh/dZuDsjRmyYNfASPr.GKvtQGVENLD3wvKM6a1lXiIMpVrfQSm"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Intercept = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@contextmanager
def docker_registry(folder: Path, *, htpasswd: bool = False) -> Iterator[str]:
    """A docker-registry on loopback; gives its `host:port`."""
    binary = shutil.which("docker-registry")
    if binary is None:
        pytest.skip("the docker-registry binary is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
        "validation": {"manifests": {"urls": {"allow": ["^https://"]}}},
    }
    if htpasswd:
        (folder / "htpasswd").write_text(f"{USERNAME}:{CANARY_BCRYPT}\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    with subprocess.Popen(
        [binary, "serve", str(folder / "config.yml")], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            log = iter(process.stderr)
            assert any("listening on" in line for line in log), "the registry did not start"
            drain = threading.Thread(target=lambda: sum(1 for _ in log))
            drain.start()
            yield address
        finally:
            process.terminate()
        drain.join()


@dataclass
class Server:
    """A server in the test's own loop, and all the requests that it has seen."""

    address: str
    requests: list[web.Request] = field(default_factory=list)

    def seen(self, method: str, part: str = "") -> list[web.Request]:
        return [seen for seen in self.requests if seen.method == method and part in seen.path_qs]

    def authorizations(self) -> list[str | None]:
        return [seen.headers.get("Authorization") for seen in self.requests]


@asynccontextmanager
async def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server on a free port of 127.0.0.1."""

    async def record(request: web.Request) -> web.StreamResponse:
        server.requests.append(request)
        return await handler(request)

    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(application, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server = Server("{}:{}".format(*runner.addresses[0]))
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def proxy(upstream: str, intercept: Intercept | None = None) -> AsyncIterator[Server]:
    """A recording server in front of a registry; what `intercept` answers does not reach it."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            own = await intercept(request) if intercept else None
            if own is not None:
                return own
            url = f"http://{upstream}{request.raw_path}"
            body = request.content.iter_any() if request.body_exists else None
            async with session.request(
                request.method, url, headers=request.headers, data=body, allow_redirects=False
            ) as answer:
                response = web.StreamResponse(status=answer.status, headers=answer.headers)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response

        async with serving(forward) as server:
            yield server


async def receive(repository: Repository, blob: Descriptor, retry: RetryPolicy = IMPATIENT) -> bytes:
    """A blob, read and verified."""
    async with Download(repository, blob, retry, Meter()) as download:
        return await download.read()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def image_manifest(config: bytes, layers: list[bytes], media_type: str = OCI_MANIFEST) -> bytes:
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
    }
    return json.dumps(manifest, indent=3).encode()  # not canonical: copies have to keep the bytes


def index_manifest(children: list[bytes]) -> bytes:
    manifests = [descriptor(child, json.loads(child)["mediaType"]) for child in children]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()


class Client:
    """Puts and gets content without any of the code under test."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self.address = address

    def reference(self, name: str) -> Reference:
        return Reference.parse(f"{self.address}/{name}")

    async def put_blob(self, repository: str, content: bytes) -> None:
        async with self._session.post(f"http://{self.address}/v2/{repository}/blobs/uploads/") as begun:
            location = begun.headers["Location"]
        async with self._session.put(
            f"{location}&digest={digest(content)}", data=io.BytesIO(content)
        ) as stored:
            assert stored.status == 201

    async def put_manifest(self, repository: str, name: str, raw: bytes) -> None:
        url = f"http://{self.address}/v2/{repository}/manifests/{name}"
        headers = {"Content-Type": json.loads(raw)["mediaType"]}
        async with self._session.put(url, data=raw, headers=headers) as stored:
            assert stored.status == 201, await stored.text()

    async def get_manifest(self, repository: str, name: str) -> bytes | None:
        url = f"http://{self.address}/v2/{repository}/manifests/{name}"
        accept = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"}
        async with self._session.get(url, headers=accept) as answer:
            return await answer.read() if answer.status == 200 else None

    async def get_blob(self, repository: str, name: str) -> bytes | None:
        async with self._session.get(f"http://{self.address}/v2/{repository}/blobs/{name}") as answer:
            return await answer.read() if answer.status == 200 else None

    async def put_image(self, repository: str, tag: str, layers: list[bytes]) -> bytes:
        """Push an image with these layers; gives its manifest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "of": tag}).encode()
        for blob in [config, *layers]:
            await self.put_blob(repository, blob)
        raw = image_manifest(config, layers)
        await self.put_manifest(repository, tag, raw)
        return raw

    async def put_index(self, repository: str, tag: str, architectures: list[list[bytes]]) -> bytes:
        """Push an index with one image for each list of layers; gives the index."""
        children = []
        for number, layers in enumerate(architectures):
            child = await self.put_image(repository, f"{tag}-{number}", layers)
            await self.put_manifest(repository, digest(child), child)
            children.append(child)
        raw = index_manifest(children)
        await self.put_manifest(repository, tag, raw)
        return raw
