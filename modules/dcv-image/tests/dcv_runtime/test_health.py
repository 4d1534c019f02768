"""The health check, each fault by itself: against fake `dcv` programs, X servers and process tables."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dcv_server import display_record, health
from dcv_server.health import UnhealthyError, check

from .fakes import COOKIE, SESSION, ProcessTable, XServer, answering, closed, publish_cookie

IMAGE = Path(__file__).resolve().parents[2] / "image"
SHORT = 0.5  # seconds of patience with clients that hang
WITHIN = 25.0  # seconds in which every fault has to be told, however busy the machine is

MakeDcv = Callable[[str], None]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A socket folder; its path is short, for a socket's is limited to 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="x11-"))
    (folder / "sockets").mkdir()
    yield folder / "sockets"
    shutil.rmtree(folder)


@pytest.fixture
def dcv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeDcv:
    """Makes a `dcv` that runs these lines of shell."""

    def make(script: str) -> None:
        program = tmp_path / "dcv"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return make


@pytest.fixture
def table(tmp_path: Path) -> ProcessTable:
    return ProcessTable(tmp_path / "proc")


@pytest.fixture
def display(sockets: Path) -> Iterator[XServer]:
    server = XServer(sockets)
    publish_cookie(sockets)
    yield server
    server.close()


@pytest.fixture
def reason(sockets: Path, table: ProcessTable) -> Callable[[], str]:
    """Why the check fails."""

    def ask() -> str:
        begin = time.monotonic()
        with pytest.raises(UnhealthyError) as caught:
            check(sockets=sockets, proc=table.folder)
        assert time.monotonic() - begin < WITHIN
        return str(caught.value)

    return ask


@pytest.mark.parametrize("status", [None, "CREATED", "created", "Created"])
def test_a_valid_session_with_a_display_that_answers_is_healthy(
    dcv: MakeDcv, sockets: Path, table: ProcessTable, display: XServer, status: str | None
) -> None:
    dcv(answering(**({"status": status} if status else {})))

    assert check(sockets=sockets, proc=table.folder).display == 2


def test_the_published_cookie_is_what_the_server_is_shown(
    dcv: MakeDcv, sockets: Path, table: ProcessTable, display: XServer
) -> None:
    dcv(answering())

    check(sockets=sockets, proc=table.folder)

    assert display.received.startswith(b"l\0\x0b\0\0\0\x12\0\x10\0")
    assert b"MIT-MAGIC-COOKIE-1\0\0" + COOKIE in display.received


def test_a_slow_answer_on_a_busy_machine_is_no_fault(
    dcv: MakeDcv, sockets: Path, table: ProcessTable, display: XServer
) -> None:
    dcv("sleep 1.2\n" + answering())

    assert check(sockets=sockets, proc=table.folder)


def test_licences_of_others_and_of_unknown_form_are_no_fault(
    dcv: MakeDcv, sockets: Path, table: ProcessTable, display: XServer
) -> None:
    dcv(answering(licenses=[{"product": "dcv-gl", "status": "NOT_LICENSED"}, "?", {"product": "dcv"}]))

    assert check(sockets=sockets, proc=table.folder)


EXPIRED = {**SESSION["licenses"][0], "status": "EXPIRED", "expiration-date": "2020-01-01T00:00:00Z"}  # type: ignore[index, dict-item]
FAULTS = {
    "closed session": (closed(), "the session default-session is closed; the DCV server itself answers"),
    "other sessions only": (closed('[{"id": "other"}]'), "the session default-session is closed"),
    "closing session": (answering(status="DELETING"), "its status is DELETING"),
    "failing client": ("echo 'no bus' >&2; exit 3", "failed with status 3: 'no bus'"),
    "client that cannot run": ("#!", "answered no JSON object: ''"),
    "hanging client": ("sleep 30", "gave no answer within 0.5 s"),
    "client with a hanging child": ("sleep 30 & wait", "gave no answer within 0.5 s"),
    "nonsense": ("echo 'Session: default-session'", "answered no JSON object"),
    "a JSON list": ("echo '[]'", "answered no JSON object"),
    "nothing": ("true", "answered no JSON object"),
    "bytes that are no text": (r"printf '\377\376'", "answered no JSON object"),
    "another session": (answering(id="other"), "described 'other' instead"),
    "no display yet": (answering(**{"x11-display": ""}), "has no display yet"),
    "a remote display": (answering(**{"x11-display": "far:0"}), "is no local one"),
    "another display": (answering(**{"x11-display": ":3"}), "xauthority-3 does not exist"),
    "licence expired": (answering(licenses=[EXPIRED]), "no valid licence: status EXPIRED, expiration 2020-"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_session_is_told_apart(
    dcv: MakeDcv,
    display: XServer,
    reason: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(health, "CLIENT_SECONDS", SHORT if "hanging" in fault else 20.0)
    script, expected = FAULTS[fault]
    dcv(script)

    assert expected in reason()


def test_a_missing_server_is_told_apart(
    reason: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert reason() == "the DCV server is not installed in this image"


def test_a_hanging_client_leaves_no_process_behind(
    dcv: MakeDcv, reason: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(health, "CLIENT_SECONDS", SHORT)
    dcv(f"sleep 30 & echo $! >{tmp_path}/child; wait")
    reason()

    stat = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    end = time.monotonic() + WITHIN
    while stat.exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < end, "the client's child still runs"
        time.sleep(0.01)


class TestProcesses:
    @pytest.fixture(autouse=True)
    def _session(self, dcv: MakeDcv, display: XServer) -> None:
        dcv(answering())

    @pytest.mark.parametrize(("pid", "name"), [(7, "dcvserver"), (8, "dcvsessionlauncher")])
    def test_dead(self, table: ProcessTable, reason: Callable[[], str], pid: int, name: str) -> None:
        table.end(pid)
        assert reason() == f"the DCV server does not run: there is no process {name}"

    @pytest.mark.parametrize("state", ["T", "t"])
    def test_stopped(self, table: ProcessTable, reason: Callable[[], str], state: str) -> None:
        table.set(7, "dcvserver", state)
        assert reason() == "the DCV server is stopped (process dcvserver)"

    def test_ended_but_not_waited_for(self, table: ProcessTable, reason: Callable[[], str]) -> None:
        table.set(7, "dcvserver", "Z")
        assert "does not run" in reason()

    def test_a_name_with_parentheses_hides_nothing(self, table: ProcessTable, sockets: Path) -> None:
        table.set(99, ") T (x", "S")
        assert check(sockets=sockets, proc=table.folder)

    def test_no_listener_on_the_port(self, table: ProcessTable, reason: Callable[[], str]) -> None:
        table.listen(443)
        assert reason() == "the DCV server does not listen on TCP port 8443"


class TestDisplay:
    @pytest.fixture(autouse=True)
    def _session(self, dcv: MakeDcv, sockets: Path) -> None:
        dcv(answering())
        publish_cookie(sockets)

    def test_missing_socket(self, reason: Callable[[], str]) -> None:
        assert "X2 does not exist" in reason()

    def test_socket_of_a_neighbour_only(self, sockets: Path, reason: Callable[[], str]) -> None:
        server = XServer(sockets, 1)
        assert "X2 does not exist" in reason()
        server.close()

    def test_something_else_in_its_place(self, sockets: Path, reason: Callable[[], str]) -> None:
        (sockets / "X2").write_text("")
        assert "is no socket" in reason()

    def test_socket_without_listener(self, sockets: Path, reason: Callable[[], str]) -> None:
        XServer(sockets, reply=None).close()
        assert "nothing listens" in reason()

    def test_server_that_is_dead(self, sockets: Path, reason: Callable[[], str]) -> None:
        XServer(sockets, reply=None).close()
        with subprocess.Popen(["true"]) as ended:
            pass
        display_record.write(2, ended.pid, sockets.parent)
        assert f"X2 (process {ended.pid}) is dead" in reason()

    def test_server_that_does_not_answer(
        self, sockets: Path, reason: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "CLIENT_SECONDS", SHORT)
        server = XServer(sockets, reply=None)
        assert "does not answer within" in reason()
        server.close()

    @pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400"])
    def test_no_x_server(self, sockets: Path, reason: Callable[[], str], reply: bytes) -> None:
        server = XServer(sockets, reply=reply)
        assert "is no X server" in reason()
        server.close()

    @pytest.mark.parametrize("reply", [b"\0", b"\2"])
    def test_server_that_refuses_the_cookie(
        self, sockets: Path, reason: Callable[[], str], reply: bytes
    ) -> None:
        server = XServer(sockets, reply=reply)
        assert "refuses the cookie" in reason()
        server.close()

    def test_authority_removed(self, sockets: Path, display: XServer, reason: Callable[[], str]) -> None:
        (sockets / "xauthority-2").unlink()
        assert "xauthority-2 does not exist" in reason()

    def test_authority_of_another_display(
        self, sockets: Path, display: XServer, reason: Callable[[], str]
    ) -> None:
        publish_cookie(sockets, 3)
        (sockets / "xauthority-3").replace(sockets / "xauthority-2")
        assert "holds no cookie" in reason()


def run(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-B", "-S", "-m", "dcv_server", *arguments],
        cwd=IMAGE,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_exit_status_says_it_too(dcv: MakeDcv) -> None:
    done, status = run(sys.executable, "health"), run(sys.executable, "status")

    assert (done.returncode, status.returncode) == (1, 1)
    assert done.stderr == "unhealthy: the DCV server is not installed in this image\n"
    assert status.stdout.startswith("dcv-image: Amazon DCV session image on ")


@pytest.mark.parametrize("arguments", [[], ["help"], ["health", "--soon"], ["run", "now"]])
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = run(sys.executable, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_the_package_runs_on_the_oldest_pythons(dcv: MakeDcv, version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    program = shutil.which(f"python{version}") or (str(found[0]) if found else None)
    if not program:
        pytest.skip(f"there is no Python {version} on this machine")

    imported = "import dcv_server.supervisor, dcv_server.readiness, dcv_server.aws_client"
    done = subprocess.run(
        [program, "-B", "-c", imported], cwd=IMAGE, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert run(program, "health").stderr == "unhealthy: the DCV server is not installed in this image\n"
