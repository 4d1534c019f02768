"""image-builder's benchmark: its command line, the load that it makes, and the simulation."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.builder.load import post, send_all
from benchmarks.builder.orders import copying, running
from benchmarks.builder.simulation import HOUR, Costs, Load, breaks_first, simulate
from localcloud.errors import LocalCloudError

REPOSITORY = Path(__file__).resolve().parents[2]
COSTS = Costs({"commits": 2.0}, {"calls": 1.0}, {"calls": 1.0, "commits": 3.0}, {"calls": 2.0})


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_help_names_the_parts() -> None:
    done = bench("builder", "--help")
    assert done.returncode == 0
    for part in ("assembled", "commands", "identical", "accepts", "memory", "--json", "--record", "--runs"):
        assert part in done.stdout


@pytest.mark.parametrize("wrong", [["--only", "everything"], ["--runs", "0"], ["--runs", "few"], ["--fast"]])
def test_wrong_input_ends_with_status_2_and_one_message(wrong: list[str]) -> None:
    done = bench("builder", *wrong)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert wrong[0] in done.stderr


@pytest.mark.parametrize("make", [copying("host/base"), running("host/base")])
def test_request_and_dockerfile_say_the_same(make: object, tmp_path: Path) -> None:
    recipe = make("name")  # type: ignore[operator]
    folder = recipe.write(tmp_path / "context")
    instructions = [line.split()[0].lower() for line in recipe.dockerfile.splitlines()]
    layers = [layer["layer_type"] for layer in recipe.order["layers"]]
    assert instructions == ["from", *layers[1:]]
    assert sorted(recipe.order["files"]) == sorted({path.name for path in folder.iterdir()} - {"Dockerfile"})
    assert make("name").tag != recipe.tag  # type: ignore[operator]


@contextmanager
def server(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives one answer to everything; its port and what it was sent."""
    loop, received = asyncio.new_event_loop(), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            received.append(await reader.readexactly(length))
            writer.write(answer)

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    started = loop.run_until_complete(asyncio.start_server(quietly, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield started.sockets[0].getsockname()[1], received
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_every_request_is_sent_once_and_every_answer_kept() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (port, received):
        sent = [post("/create", "token", f"body {number}".encode()) for number in range(200)]
        answers = send_all(port, sent, 8)
    assert answers.bodies == [b"ok"] * 200
    assert sorted(received) == sorted(request.partition(b"\r\n\r\n")[2] for request in sent)


def test_a_refusal_ends_the_load() -> None:
    with (
        server(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nfull") as (port, _),
        pytest.raises(LocalCloudError, match=r"429 Too Many Requests: full"),
    ):
        send_all(port, [post("/create", "token", b"{}")] * 20, 4)


def test_an_hour_needs_what_its_builds_cost() -> None:
    outcome = simulate(Load(7200, pods=1000, seconds=10.0), COSTS)
    # Some of the last builds end after the hour; none waits, since there is always a pod.
    assert outcome.mean["commits"] == pytest.approx(7200 * 5 / HOUR, rel=0.03)
    assert outcome.mean["calls"] == pytest.approx(7200 * 2 / HOUR + 2, rel=0.03)
    assert outcome.waits[-1] == 0
    assert outcome.busiest["commits"] > outcome.mean["commits"]
    # Little's law: 2 builds a second of 10 s (median; the mean of their log-normal times is 12 s).
    assert 24 < outcome.most_pods < 50


def test_builds_wait_when_pods_are_few() -> None:
    enough = simulate(Load(3600, pods=40, seconds=10.0), COSTS)
    few = simulate(Load(3600, pods=11, seconds=10.0), COSTS)
    assert few.most_pods == 11
    assert enough.wait_p95 < 1 < few.wait_p95


def test_what_breaks_first_is_named_with_the_builds_an_hour() -> None:
    load = Load(3600, pods=1000, seconds=10.0)
    assert breaks_first(load, COSTS, {"commits": 10.0, "calls": 1000.0}) == ("commits", 7200)
    assert breaks_first(load, COSTS, {"commits": 1000.0, "calls": 4.0}) == ("calls", 3600)
    part, builds = breaks_first(Load(3600, pods=10, seconds=10.0, spread=0.0), COSTS, {"commits": 1000.0})
    assert (part, builds) == ("pods", 3600)
