"""The image's health check against fake `dcv` programs and fake X servers."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dcv_server.health import BUDGET, UnhealthyError, check
from dcv_server.xdisplay import read_cookie

IMAGE = Path(__file__).resolve().parent.parent / "image"
SESSION = {"id": "default-session", "owner": "dcv", "type": "virtual", "x11-display": ":2"}
SLACK = 0.4  # seconds for a busy machine on top of the budget


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A socket folder; its path is short, for a socket's is limited to 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="x11-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def dcv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes a `dcv` that runs these lines of shell."""

    def make(script: str) -> None:
        program = tmp_path / "dcv"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return make


def answering(**changes: object) -> str:
    """A script that answers with a session, when it is asked as documented."""
    body = json.dumps({**SESSION, **changes})
    return f"""[ "$*" = "describe-session default-session --json" ] || exit 64\ncat <<'EOF'\n{body}\nEOF"""


class XServer:
    """Replies to a client's first message; `reply` None never does."""

    def __init__(self, path: Path, reply: bytes | None = b"\1" + b"\0" * 7) -> None:
        self.received = b""
        self._reply = reply
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        if reply is not None:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.received = connection.recv(4096)
                connection.sendall(self._reply or b"")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def display(sockets: Path) -> Iterator[XServer]:
    server = XServer(sockets / "X2")
    yield server
    server.close()


def reason(sockets: Path) -> str:
    """Why the check fails; it has to fail within its budget."""
    begin = time.monotonic()
    with pytest.raises(UnhealthyError) as caught:
        check(sockets=sockets)
    assert time.monotonic() - begin < BUDGET + SLACK
    return str(caught.value)


@pytest.mark.parametrize("status", [None, "CREATED", "created", "Created"])
def test_a_valid_session_with_a_display_that_answers_is_healthy(
    dcv: Callable[[str], None], sockets: Path, display: XServer, status: str | None
) -> None:
    dcv(answering(**({"status": status} if status else {})))

    assert check(sockets=sockets) == "session default-session is valid and its display :2 answers"


def test_an_x_server_that_refuses_answers_too(dcv: Callable[[str], None], sockets: Path) -> None:
    server = XServer(sockets / "X2", reply=b"\0\x10\x0b\0\0\0\0\0")
    dcv(answering())

    assert check(sockets=sockets)
    server.close()


FAULTS = {
    "closed session": (
        "echo 'Could not find session' >&2; exit 1",
        "the session is closed or the DCV server",
    ),
    "closing session": (answering(status="DELETING"), "its status is DELETING"),
    "hanging client": ("sleep 30", "gave no answer within 0.8 s"),
    "client with a hanging child": ("sleep 30 & wait", "gave no answer within 0.8 s"),
    "nonsense": ("echo 'Session: default-session'", "answered no JSON object"),
    "a JSON list": ("echo '[]'", "answered no JSON object"),
    "nothing": ("true", "answered no JSON object"),
    "another session": (answering(id="other"), "described 'other' instead"),
    "no display yet": (answering(**{"x11-display": ""}), "has no display yet"),
    "a remote display": (answering(**{"x11-display": "far:0"}), "is no local one"),
    "another display": (answering(**{"x11-display": ":3"}), "X3 does not exist"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_session_is_told_apart(
    dcv: Callable[[str], None], sockets: Path, display: XServer, fault: str
) -> None:
    script, expected = FAULTS[fault]
    dcv(script)

    assert expected in reason(sockets)


def test_a_missing_server_is_told_apart(dcv: Callable[[str], None], sockets: Path) -> None:
    assert reason(sockets) == "the DCV server is not installed in this image"


def test_a_hanging_client_leaves_no_process_behind(
    dcv: Callable[[str], None], sockets: Path, tmp_path: Path
) -> None:
    dcv(f"sleep 30 & echo $! >{tmp_path}/child; wait")
    reason(sockets)

    child = int((tmp_path / "child").read_text())
    time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text()


class TestDisplay:
    @pytest.fixture(autouse=True)
    def _session(self, dcv: Callable[[str], None]) -> None:
        dcv(answering())

    def test_missing_socket(self, sockets: Path) -> None:
        assert "does not exist" in reason(sockets)

    def test_socket_of_a_neighbour_only(self, sockets: Path) -> None:
        server = XServer(sockets / "X1")
        assert "X2 does not exist" in reason(sockets)
        server.close()

    def test_socket_without_listener(self, sockets: Path) -> None:
        XServer(sockets / "X2", reply=None).close()
        assert "nothing listens" in reason(sockets)

    def test_server_that_is_stopped(self, sockets: Path) -> None:
        server = XServer(sockets / "X2", reply=None)
        assert "does not answer" in reason(sockets)
        server.close()

    @pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400"])
    def test_no_x_server(self, sockets: Path, reply: bytes) -> None:
        server = XServer(sockets / "X2", reply=reply)
        assert "is no X server" in reason(sockets)
        server.close()


def entry(number: bytes, name: bytes, data: bytes) -> bytes:
    fields = (b"host", number, name, data)
    return b"\1\0" + b"".join(struct.pack(">H", len(field)) + field for field in fields)


def test_the_displays_own_cookie_is_sent(
    dcv: Callable[[str], None], sockets: Path, display: XServer, tmp_path: Path
) -> None:
    authority = tmp_path / "xauth"
    authority.write_bytes(
        entry(b"1", b"MIT-MAGIC-COOKIE-1", b"wrong") + entry(b"2", b"MIT-MAGIC-COOKIE-1", b"0123456789abcdef")
    )
    dcv(answering(**{"x11-authority": str(authority)}))

    check(sockets=sockets)

    assert display.received.startswith(b"l\0\x0b\0\0\0\x12\0\x10\0")
    assert b"MIT-MAGIC-COOKIE-1\0\x000123456789abcdef" in display.received


@pytest.mark.parametrize("content", [b"", b"\1", b"\1\0\0\xff", entry(b"2", b"OTHER", b"x"), b"\xff" * 50])
def test_an_authority_file_without_our_cookie_is_no_fault(tmp_path: Path, content: bytes) -> None:
    authority = tmp_path / "xauth"
    authority.write_bytes(content)

    assert read_cookie(authority, 2) == b""
    assert read_cookie(tmp_path / "gone", 2) == b""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "dcv_server", *arguments],
        cwd=IMAGE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_exit_status_says_it_too(dcv: Callable[[str], None]) -> None:
    health, status = run("health"), run("status")

    assert (health.returncode, status.returncode) == (1, 1)
    assert health.stderr == "unhealthy: the DCV server is not installed in this image\n"
    assert status.stdout.startswith("dcv-image: Amazon DCV session image on ")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_the_package_runs_on_the_oldest_pythons(dcv: Callable[[str], None], version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    program: Any = shutil.which(f"python{version}") or (found and found[0])
    if not program:
        pytest.skip(f"there is no Python {version} on this machine")

    done = subprocess.run(
        [str(program), "-B", "-m", "dcv_server", "health"],
        cwd=IMAGE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == "unhealthy: the DCV server is not installed in this image\n"
