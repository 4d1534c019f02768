"""Helm from an archive, verified; else from PATH."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from image_builder.installation.helm_program import helm_program
from image_builder.settings import Parameters
from image_builder.shared.errors import UserError

URL = "https://get.helm.sh/helm.tar.gz"
PROGRAM = b"#!/bin/sh\n"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Not on the test's output."""


@pytest.fixture
def distribution(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def archive_of(member: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(PROGRAM)
        tar.addfile(entry, io.BytesIO(PROGRAM))
    return packed.getvalue()


def parameters(address: str, archive: bytes) -> Parameters:
    return Parameters(
        helm_distro_url=URL,
        helm_distro_sha256=hashlib.sha256(archive).hexdigest(),
        registry_endpoints=json.dumps({"get.helm.sh": address}),
    )


@pytest.fixture(params=[("x86_64", "linux-amd64"), ("aarch64", "linux-arm64")], ids=lambda pair: pair[0])
def folder_of_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    machine, folder = request.param
    monkeypatch.setattr("platform.machine", lambda: machine)
    return str(folder)


def test_a_verified_archive_gives_the_program_and_nothing_stays(
    distribution: tuple[Path, str], folder_of_machine: str
) -> None:
    folder, address = distribution
    archive = archive_of(f"{folder_of_machine}/helm")
    (folder / "helm.tar.gz").write_bytes(archive)

    with helm_program(parameters(address, archive)) as program:
        assert program.read_bytes() == PROGRAM
        assert program.stat().st_mode & 0o777 == 0o700

    assert not program.parent.exists()


@pytest.mark.parametrize(
    ("served", "expected", "complaint"),
    [
        (archive_of("linux-amd64/helm"), b"another", "`helm-distro-sha256`: .* has the SHA-256"),
        (archive_of("windows-amd64/helm.exe"), None, "`helm-distro-url`: .* does not hold linux-amd64/helm"),
        (b"no archive", None, "`helm-distro-url`: .* is not a .tar.gz that can be read"),
        (None, b"", "`helm-distro-url`: .* answers 404"),
    ],
    ids=["checksum", "system", "no archive", "missing"],
)
def test_anything_else_is_refused_by_the_parameters_name(
    distribution: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    served: bytes | None,
    expected: bytes | None,
    complaint: str,
) -> None:
    folder, address = distribution
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    if served is not None:
        (folder / "helm.tar.gz").write_bytes(served)
    meant = expected if expected is not None else served or b""

    with (
        pytest.raises(UserError, match=complaint),
        helm_program(parameters(address, meant)),
    ):
        pytest.fail("it was given")


def test_without_an_archive_helm_is_the_one_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(UserError, match="there is no `helm` on PATH"),
        helm_program(Parameters()),
    ):
        pytest.fail("it was given")

    (tmp_path / "helm").write_bytes(PROGRAM)
    (tmp_path / "helm").chmod(0o755)
    with helm_program(Parameters()) as program:
        assert program == tmp_path / "helm"
