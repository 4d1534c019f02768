"""The doubles do what they say: what is proved with them is worth no more than they are."""

import asyncio
import http.client
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from multidict import CIMultiDict
from registry_doubles.exchange import Request, body_of
from registry_doubles.faults import Fault, FaultPlan, FaultRule
from registry_doubles.proxy import CONTROL_PATH, Proxy

from .support import Client, digest

CONTENT = b"content of a blob" * 1000
BLOB = f"/v2/doubles/blobs/{digest(CONTENT)}"


@pytest.fixture
async def stored(source: Client) -> str:
    """Address of a registry that has the blob."""
    await source.put_blob("doubles", CONTENT)
    return source.address


def ask(address: str, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def injecting(kind: Fault) -> FaultRule:
    return FaultRule(FaultPlan(1, share=1.0, kinds=[kind]), seconds_per_byte=0.001)


async def test_a_proxy_changes_nothing_and_counts_the_bytes(stored: str) -> None:
    with Proxy(stored) as front:
        assert ask(front.address, "GET", BLOB) == (200, CONTENT)
        assert ask(front.address, "HEAD", BLOB) == (200, b"")
        assert ask(front.address, "GET", "/v2/doubles/blobs/no")[0] == 404
        read, looked, _ = front.recording.records
    assert (read.method, read.target, read.status, read.received) == ("GET", BLOB, 200, len(CONTENT))
    assert (looked.status, looked.received) == (200, 0)


async def test_a_client_that_tries_https_first_is_not_kept_waiting(stored: str) -> None:
    """As skopeo does, also when it is told that http will do."""
    with Proxy(stored) as front:
        reader, writer = await asyncio.open_connection(*front.address.split(":"))
        writer.write(b"\x16\x03\x01\x02\x00")  # how a TLS handshake begins
        assert await asyncio.wait_for(reader.read(), timeout=5) == b""
        writer.close()
        assert ask(front.address, "GET", BLOB) == (200, CONTENT)
        assert len(front.recording.records) == 1


async def test_uploads_come_back_to_the_proxy(stored: str, source: Client) -> None:
    with Proxy(stored) as front:
        client = Client(source._session, front.address)
        raw = await client.put_image("doubles/pushed", "1", [CONTENT])
        assert [seen.method for seen in front.recording.seen(part="/blobs/")] == ["POST", "PUT"] * 2
        sent = {seen.sent for seen in front.recording.seen("PUT")}
    assert sent >= {len(CONTENT), len(raw)}
    assert await source.get_manifest("doubles/pushed", "1") == raw


async def test_one_connection_takes_many_requests(stored: str) -> None:
    with Proxy(stored) as front:
        connection = http.client.HTTPConnection(front.address, timeout=5)
        for _ in range(3):
            connection.request("GET", BLOB)
            assert connection.getresponse().read() == CONTENT
            own = connection.sock
            connection.request("HEAD", BLOB)
            assert connection.getresponse().read() == b""
            assert connection.sock is own
        connection.close()


async def test_statistics_are_asked_for_on_the_same_port(stored: str) -> None:
    with Proxy(stored) as front:
        ask(front.address, "GET", BLOB)
        statistics = json.loads(ask(front.address, "GET", CONTROL_PATH)[1])
        assert (statistics["methods"], statistics["received_bytes"]) == ({"GET": 1}, len(CONTENT))
        ask(front.address, "DELETE", CONTROL_PATH)
        assert front.recording.records == []


def test_a_proxy_runs_in_a_process_of_its_own(stored: str) -> None:
    command = [sys.executable, "-m", "registry_doubles", stored, "--delay", "0.001"]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().split('"')[3]
        assert ask(address, "GET", BLOB) == (200, CONTENT)
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Fault.TOO_MANY, 429),
        (Fault.TOO_MANY_RETRY_AFTER, 429),
        (Fault.ERROR_500, 500),
        (Fault.ERROR_502, 502),
        (Fault.ERROR_503, 503),
        (Fault.ERROR_504, 504),
    ],
)
async def test_a_status_is_answered_in_the_registrys_place(stored: str, kind: Fault, status: int) -> None:
    with Proxy(stored, [injecting(kind)]) as front:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            assert ask(front.address, method, BLOB, b"body" if method == "PUT" else None)[0] == status


async def test_a_reset_before_forwarding_never_reaches_the_registry(stored: str) -> None:
    with Proxy(stored) as behind, Proxy(behind.address, [injecting(Fault.RESET_BEFORE)]) as front:
        with pytest.raises(ConnectionResetError):
            ask(front.address, "POST", "/v2/doubles/blobs/uploads/")
        assert behind.recording.records == []


async def test_a_reset_after_forwarding_loses_only_the_answer(stored: str) -> None:
    with Proxy(stored) as behind, Proxy(behind.address, [injecting(Fault.RESET_AFTER)]) as front:
        with pytest.raises(ConnectionResetError):
            ask(front.address, "POST", "/v2/doubles/blobs/uploads/")
        assert [seen.status for seen in behind.recording.records] == [202]


async def test_a_reset_in_the_request_lets_half_of_it_through(stored: str) -> None:
    with Proxy(stored) as behind, Proxy(behind.address, [injecting(Fault.RESET_IN_REQUEST)]) as front:
        arrived = behind.recording.when_bytes(len(CONTENT) // 2)
        with pytest.raises(ConnectionError):
            ask(front.address, "PUT", "/v2/doubles/manifests/1", CONTENT)
        assert arrived.wait(5)
        (seen,) = behind.recording.records
        assert seen.sent == len(CONTENT) // 2


async def test_a_truncated_body_is_shorter_than_its_length_says(stored: str) -> None:
    with Proxy(stored, [injecting(Fault.TRUNCATED)]) as front:
        with pytest.raises(http.client.IncompleteRead) as cut:
            ask(front.address, "GET", BLOB)
        assert cut.value.partial == CONTENT[: len(CONTENT) // 2]


async def test_a_wrong_digest_is_one_bit(stored: str) -> None:
    with Proxy(stored, [injecting(Fault.WRONG_DIGEST)]) as front:
        status, content = ask(front.address, "GET", BLOB)
    assert (status, len(content)) == (200, len(CONTENT))
    assert sum(one != other for one, other in zip(content, CONTENT, strict=True)) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_slow_loris_sends_one_byte_after_the_other_until_the_client_goes(
    stored: str, method: str
) -> None:
    rule = FaultRule(FaultPlan(1, share=1.0, kinds=[Fault.SLOW]), seconds_per_byte=0.01)
    with Proxy(stored, [rule]) as front:
        reader, writer = await asyncio.open_connection(*front.address.split(":"))
        writer.write(f"{method} {BLOB} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await reader.readexactly(12) == b"HTTP/1.1 200"
        assert len(await reader.read(1000)) < 100
        writer.close()


def request_for(number: int) -> Request:
    return Request("GET", f"/v2/r/blobs/{number}", CIMultiDict(), body_of())


def test_faults_are_a_pure_function_and_as_frequent_as_asked() -> None:
    drawn = [[FaultPlan(seed).fault(request_for(n), 0) for n in range(3000)] for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]
    counts = Counter(drawn[0])
    assert 0.17 < 1 - counts[None] / 3000 < 0.23
    assert set(counts) == {None, *Fault} - {Fault.RESET_IN_REQUEST}  # a GET has no body
