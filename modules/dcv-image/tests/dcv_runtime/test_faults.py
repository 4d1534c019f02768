"""Faults injected into containers of the image: each is found by the next probes and told apart.

The clock of a container cannot be set, and a licence cannot expire here: for these two the stand-in says what
the DCV server would.
"""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from .containers import Container, docker, until
from .pods import Pod, running_pod
from .secrets_double import SecretsDouble

pytestmark = pytest.mark.engine

PROBES_UNTIL_FOUND = 2
PROBE_CPU_SECONDS = 0.5  # of a probe that finds nothing wrong; a kubelet's own limit is 1 s by default
LONG = os.environ.get("AIRGAP_LONG") == "1"
PROBES = 10_000 if LONG else 200
SCRIPT_PROBES = 100 if LONG else 20
SOCKET = "/tmp/.X11-unix/X0"
AUTHORITY = "/tmp/.X11-unix/xauthority-0"


def reason(container: Container, *arguments: str) -> str:
    """Why the probe says no; empty when it says yes."""
    done = container.probe(*arguments)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def found(container: Container, expected: str, *arguments: str) -> None:
    """The fault is named by one of the first probes; a probe takes three seconds at most, or four."""
    seen = []
    for _ in range(PROBES_UNTIL_FOUND):
        seen.append(reason(container, *arguments))
        if re.search(expected, seen[-1]):
            return
    raise AssertionError(f"not found: {expected!r}; seen: {seen}")


def found_in_time(container: Container, expected: str, *arguments: str) -> None:
    """The fault is named once what was known before is too old to count."""
    until(expected, lambda: re.search(expected, reason(container, *arguments)))


@contextmanager
def told(container: Container, **faults: object) -> Iterator[None]:
    """The stand-in's client does or says something else."""
    container.run("bash", "-c", "cat >/run/dcv-faults.json", text=json.dumps(faults))
    yield
    container.run("rm", "/run/dcv-faults.json")


@contextmanager
def stopped(container: Container, process: str) -> Iterator[None]:
    container.signal("STOP", process)
    yield
    container.signal("CONT", process)


@contextmanager
def replaced(container: Container, path: str, script: str) -> Iterator[None]:
    """A file gives way to what the script makes in its place."""
    container.run("mv", path, f"{path}.away")
    container.run("bash", "-c", script, "bash", path)
    yield
    container.run("rm", "--force", path)
    container.run("mv", f"{path}.away", path)


BOUND = 'python3 -c "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$1"'
LICENCE = {"product": "dcv", "status": "LICENSED", "check-timestamp": "2026-01-01T00:00:00Z"}
REVERSIBLE: dict[str, tuple[Callable[[Container], AbstractContextManager[None]], str]] = {
    "server stopped": (lambda c: stopped(c, "dcvserver"), r"server is stopped \(process dcvserver\)"),
    "launcher stopped": (
        lambda c: stopped(c, "dcvsessionlauncher"),
        r"stopped \(process dcvsessionlauncher\)",
    ),
    "X stopped": (lambda c: stopped(c, "Xvnc"), r"X server behind \S+ \(process \d+\) is stopped"),
    "client hangs": (lambda c: told(c, hang=True), "gave no answer within 3.0 s"),
    "client fails": (lambda c: told(c, status=3), "failed with status 3"),
    "client answers nonsense": (lambda c: told(c, nonsense="Session: ok"), "answered no JSON object"),
    "client answers nothing": (lambda c: told(c, nonsense=""), "answered no JSON object: ''"),
    "another session": (lambda c: told(c, answer={"id": "other"}), "described 'other' instead"),
    "session closing": (lambda c: told(c, answer={"status": "DELETING"}), "its status is DELETING"),
    "no display": (lambda c: told(c, answer={"x11-display": ""}), "has no display yet"),
    "stale display number": (lambda c: told(c, answer={"x11-display": ":9"}), "xauthority-9 does not exist"),
    "remote display": (lambda c: told(c, answer={"x11-display": "far:0"}), "is no local one"),
    "licence expired": (
        lambda c: told(c, answer={"licenses": [{**LICENCE, "status": "EXPIRED"}]}),
        "no valid licence: status EXPIRED",
    ),
    "socket deleted": (lambda c: replaced(c, SOCKET, ":"), "X0 does not exist"),
    "socket without listener": (lambda c: replaced(c, SOCKET, BOUND), "nothing listens on"),
    "file in the socket's place": (lambda c: replaced(c, SOCKET, 'touch "$1"'), "X0 is no socket"),
}
CLOCK = {
    "clock set back": ({"check-timestamp": "2126-01-01T00:00:00Z"}, "the clock jumped back"),
    "clock set ahead": ({"expiration-date": "2026-01-02T00:00:00Z"}, "the clock jumped ahead"),
}


@pytest.mark.parametrize("fault", REVERSIBLE)
def test_a_fault_is_found_and_its_end_too(session: Container, fault: str) -> None:
    inject, expected = REVERSIBLE[fault]
    session.wait_until_healthy()

    with inject(session):
        found(session, expected)

    session.wait_until_healthy()


@pytest.mark.parametrize("fault", CLOCK)
def test_a_wrong_clock_makes_not_ready_and_leaves_the_session_alone(session: Container, fault: str) -> None:
    change, expected = CLOCK[fault]
    with told(session, answer={"licenses": [{**LICENCE, **change}]}):
        found(session, expected, "--ready")
        assert reason(session) == ""


TAMPERED = {
    "removed": ('rm -f "$1"', "xauthority-0 does not exist"),
    "of a wrong cookie": (
        'head -c -16 "$1" >/tmp/wrong && printf %016d 0 >>/tmp/wrong && cp --no-preserve=all /tmp/wrong "$1"',
        "refuses the cookie",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_an_authority_that_was_tampered_with_is_found_and_set_right(session: Container, case: str) -> None:
    script, expected = TAMPERED[case]
    session.wait_until_healthy()

    def look() -> bool:
        # In one go, and again if need be: every five seconds the start sets it right.
        probe = f"({script}) 2>/dev/null; /usr/local/bin/check_healthy.sh"
        done = session.run("bash", "-c", probe, "bash", AUTHORITY, check=False)
        return expected in done.stderr

    until(expected, look)
    session.wait_until_healthy()


def test_a_full_volume_makes_not_ready_and_leaves_the_session_alone(pod: Pod) -> None:
    container = pod.healthy(
        volumes=["/run", "/home", "/var/log", "/var/lib/dcv-image/accounts"],
        options=["--tmpfs", "/tmp:exec,mode=1777,size=1m"],
    )
    container.run("dd", "if=/dev/zero", "of=/tmp/filler", "bs=64k", check=False)

    found(container, "no space is left on /tmp", "--ready")
    assert reason(container) == ""


class TestEnds:
    """Faults after which only a new start helps."""

    @pytest.mark.parametrize("process", ["dcvserver", "dcvsessionlauncher"])
    def test_server_dead(self, pod: Pod, process: str) -> None:
        container = pod.healthy()
        container.signal("KILL", process)

        assert container.wait() == 1
        assert f"error: {process} ended with status -9, and the session with it" in container.log()

    def test_x_dead(self, pod: Pod) -> None:
        container = pod.healthy()
        container.signal("KILL", "Xvnc")

        found(container, r"the X server of \S+X0 \(process \d+\) is dead")

    def test_session_closed(self, pod: Pod) -> None:
        container = pod.healthy()
        container.run("dcv", "close-session", "default-session")

        found(container, "the session default-session is closed; the DCV server itself answers")

    def test_session_ended_from_inside(self, pod: Pod) -> None:
        container = pod.healthy()
        container.signal("TERM", "sleep")

        found(container, "the session default-session is closed")


class TestNeighbours:
    """Another container with a session of its own on the same socket folder."""

    @pytest.fixture
    def pair(self, pod: Pod, aws: SecretsDouble, tmp_path: Path) -> Iterator[tuple[Container, Container]]:
        options = ["--volume", f"{tmp_path}:/tmp/.X11-unix"]
        first = pod.healthy(options=options)
        with running_pod(pod.containers.image, aws.port) as neighbour:
            yield first, neighbour.healthy(options=options)

    def test_their_sockets_neither_help_nor_disturb(
        self, pair: tuple[Container, Container], tmp_path: Path
    ) -> None:
        first, second = pair
        assert "display :0 answers" in first.probe().stdout
        assert "display :1 answers" in second.probe().stdout

        first.run("rm", SOCKET)
        found(first, "X0 does not exist")
        assert second.healthy()

        docker("stop", "--time", "30", first.name)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["X1", "xauthority-1"]
        assert second.healthy()

    def test_a_socket_of_others_in_place_of_ours_is_told(
        self, pair: tuple[Container, Container], tmp_path: Path
    ) -> None:
        first, _ = pair
        (tmp_path / "X0").unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(tmp_path / "X0"))
            listener.listen()
            (tmp_path / "X0").chmod(0o777)

            found(first, "X0 belongs to another container")

    def test_after_sigkill_only_our_own_leavings_go(
        self, pair: tuple[Container, Container], tmp_path: Path
    ) -> None:
        first, second = pair
        stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stale.bind(str(tmp_path / "X7"))
        stale.close()
        docker("kill", first.name)

        # The shared folder stays; the new container does not know what the old one's were.
        assert {"X0", "X1", "X7"} <= {path.name for path in tmp_path.iterdir()}
        assert second.healthy()


def test_publication_is_part_of_ready_alone(pod: Pod) -> None:
    container = pod.healthy(environment={"DCV_EKS_DISPLAY_PARAMETER_STORE": "/p/d/m/dcv-display"})
    pod.relay.close()

    found_in_time(container, "SSM at 127.0.0.1:4566 cannot be reached", "--ready")
    assert reason(container) == ""

    container.signal("STOP", "update_parameter")
    found_in_time(container, "the publisher is dead or stopped", "--ready")
    assert reason(container) == ""


def test_a_healthy_session_is_never_called_ill(session: Container) -> None:
    session.wait_until_healthy()
    again = f"""
import sys
sys.path.insert(0, "/opt")
from dcv_server.health import check
for _ in range({PROBES}):
    check()
"""
    session.run("/usr/local/bin/dcv-python", "-IBS", "-", text=again)
    for _ in range(SCRIPT_PROBES):
        assert reason(session) == ""


def test_a_probe_takes_little_of_the_processor(session: Container) -> None:
    """Its time on the wall depends on what else runs; `./scripts/bench` is the place for that."""
    session.wait_until_healthy()
    times = 5
    script = (
        f"TIMEFORMAT=%U+%S; time for _ in {{1..{times}}}; do /usr/local/bin/check_healthy.sh >/dev/null; done"
    )
    user, system = session.run("bash", "-c", script).stderr.strip().split("+")

    assert (float(user) + float(system)) / times < PROBE_CPU_SECONDS


def test_a_probe_of_a_busy_client_waits(session: Container) -> None:
    """Definite evidence fails at once, lateness does not: a client that needs a second is no fault."""
    session.wait_until_healthy()
    with told(session, late=1.0):
        begin = time.monotonic()
        assert reason(session) == ""
        assert time.monotonic() - begin > 0.9
