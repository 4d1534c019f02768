"""Files of the own machine: small ones go with the request, large ones are uploaded, whatever breaks."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from image_builder.client import Client, ServiceError
from image_builder.client.files import LocalFileError, with_local_files
from image_builder.layers.image import Image

from .processes import ServiceProcess, service_process
from .running import ADMIN, PASSWORD

SCRIPT = Path(__file__).with_name("scripted_server.py")
SIZE = 20_000_000
CUT = 3_000_000  # bytes after which a connection breaks


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large.bin").write_bytes(random.Random(6).randbytes(SIZE))  # noqa: S311 - nothing secret
    return tmp_path / "large.bin"


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Iterator[ServiceProcess]:
    variables = {**environment, "DCRX_KV_ADMIN_USERNAME": ADMIN, "DCRX_KV_ADMIN_PASSWORD": PASSWORD}
    with service_process([str(SCRIPT), "PORT", str(tmp_path / "pushes")], variables, tmp_path) as running:
        yield running


class Cutting:
    """Passes connections on, and breaks each after some bytes of a client."""

    def __init__(self, port: int) -> None:
        self.sent = self.broken = 0
        self._port = port

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service, to_service = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._answers(service, writer))
        passed = 0
        while data := await reader.read(64 * 1024):
            passed += len(data)
            self.sent += len(data)
            if passed > CUT:
                self.broken += 1
                writer.transport.abort()
                break
            to_service.write(data)
            await to_service.drain()
        to_service.close()
        await answers

    async def _answers(self, service: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await service.read(64 * 1024):
            writer.write(data)
        writer.close()


@contextmanager
def cutting(port: int) -> Iterator[tuple[Cutting, str]]:
    """A proxy in a thread of its own, and its address."""
    proxy, loop, listening = Cutting(port), asyncio.new_event_loop(), socket.create_server(("127.0.0.1", 0))
    server = loop.run_until_complete(asyncio.start_server(proxy, sock=listening))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield proxy, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_an_upload_goes_on_where_connections_broke(process: ServiceProcess, large: Path) -> None:
    with cutting(process.port) as (proxy, address), Client(address) as client:
        client.login(ADMIN, PASSWORD)

        digest = client.upload(large)
        again = client.upload(large)

    assert again == digest
    assert proxy.broken >= SIZE // CUT
    # The service writes a MiB at a time, and what is on its way when a connection breaks is lost.
    assert proxy.sent < 2 * SIZE


def test_the_library_uploads_what_its_image_needs(process: ServiceProcess, large: Path) -> None:
    image = Image("from-library").stage("scratch").copy(large, "/opt/")
    with Client(process.url) as client:
        client.login(ADMIN, PASSWORD)

        job = client.order(image)
        events = list(client.follow(job["job_id"]))

    assert events[-1].text == "DONE"


def test_who_is_signed_out_meanwhile_is_signed_in_again(process: ServiceProcess, large: Path) -> None:
    with Client(process.url) as client, Client(process.url) as stranger:
        client.login(ADMIN, PASSWORD)
        client._http.post("/users/logout")

        assert client.upload(large).startswith("sha256:")
        with pytest.raises(ServiceError, match="nobody is signed in"):
            stranger.upload(large)


def brought(path: Path) -> str:
    return f"digest of {path.name}"


def test_a_request_names_files_by_their_paths(tmp_path: Path, large: Path) -> None:
    (tmp_path / "site/css").mkdir(parents=True)
    (tmp_path / "site/index.html").write_text("<p>")
    (tmp_path / "site/css/a.css").write_text("p{}")
    (tmp_path / "tool").write_text("#!/bin/sh")
    (tmp_path / "tool").chmod(0o755)
    files: dict[str, Any] = {
        "web": {"path": "site"},
        "tool": {"path": "tool"},
        "secret": {"path": str(tmp_path / "tool"), "mode": "0400"},
        "large": {"path": "large.bin"},
        "here": {"content": "aGVyZQ=="},
    }

    found = with_local_files({"name": "x", "files": files}, tmp_path, brought)

    assert found == {
        "name": "x",
        "files": {
            "web/index.html": {"content": "PHA+", "mode": "0644"},
            "web/css/a.css": {"content": "cHt9", "mode": "0644"},
            "tool": {"content": "IyEvYmluL3No", "mode": "0755"},
            "secret": {"content": "IyEvYmluL3No", "mode": "0400"},
            "large": {"digest": "digest of large.bin", "mode": "0644"},
            "here": {"content": "aGVyZQ=="},
        },
    }


def test_many_small_files_are_uploaded_when_a_request_would_be_too_large(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).write_bytes(bytes(1024 * 1024))

    found = with_local_files({"files": {"all": {"path": "."}}}, tmp_path, brought)

    kinds = [next(iter(file)) for file in found["files"].values()]
    assert (kinds.count("content"), kinds.count("digest")) == (8, 12)


@pytest.mark.parametrize("file", [{"path": "nowhere"}, {"path": 7}, {"path": "tool", "content": ""}])
def test_a_file_that_cannot_be_taken_is_named(tmp_path: Path, file: dict[str, Any]) -> None:
    with pytest.raises(LocalFileError, match="'mine'"):
        with_local_files({"files": {"mine": file}}, tmp_path, brought)
