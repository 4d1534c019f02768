"""Uploads: whatever goes wrong at whatever step, the content arrives, or a typed error says why not.

At docker-registry, which forgets an upload whose part broke off, and at a registry whose parts arrive
as a whole or not at all, with and without an answer about how far it is (Amazon ECR has none).
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dockerimage_replication.oci import upload as upload_module
from dockerimage_replication.oci.download import Download
from dockerimage_replication.oci.errors import DigestMismatch, NotFound, RegistryError, Unavailable
from dockerimage_replication.oci.journal import Journal
from dockerimage_replication.oci.manifests import Descriptor
from dockerimage_replication.oci.meter import Meter
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.oci.retry import RetryPolicy
from dockerimage_replication.oci.transport import Transport
from dockerimage_replication.oci.upload import LargeUpload, upload_content
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_doubles.bearer import Bearer
from registry_doubles.ecr import Ecr
from registry_doubles.exchange import Forward, Reply, Request, Rule
from registry_doubles.faults import Fault, FaultPlan, FaultRule
from registry_doubles.proxy import Proxy
from registry_doubles.uploads import AtomicUploads

from .support import Client, digest
from .test_copy import noise
from .test_download import Source

KIB = 1024
PART = 64 * KIB
SIZE = 10 * PART - 1
PATIENT = RetryPolicy(first_delay=0.001, longest_delay=0.002)
KINDS = ["docker-registry", "atomic parts", "ecr"]
FAULTS = [fault for fault in Fault if fault not in (Fault.SLOW, Fault.TOO_MANY_RETRY_AFTER, Fault.TRUNCATED)]

numbers = itertools.count()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as small as the content of these tests; they grow when the clock says so, or never."""
    monkeypatch.setattr(upload_module, "FIRST_PART", PART)
    monkeypatch.setattr(upload_module, "_QUICK", 0.0)


def rules(kind: str, minimum: int = 0) -> list[Rule]:
    if kind == "docker-registry":
        return []
    uploads = AtomicUploads(tells_progress=kind == "atomic parts", minimum_part=minimum)
    return [Ecr(uploads=uploads)]


@dataclass(frozen=True)
class Schedule(FaultPlan):
    """The faults of the first requests, in their order; none where there is None or no more."""

    steps: list[Fault | None] = field(default_factory=list)

    def fault(self, request: Request, occurrence: int) -> Fault | None:
        fault = self.steps.pop(0) if self.steps else None
        needs_body = fault is Fault.RESET_IN_REQUEST and request.headers.get("Content-Length", "0") == "0"
        return Fault.RESET_BEFORE if needs_body else fault if fault is not Fault.WRONG_DIGEST else None


def faulty(*steps: Fault | None) -> FaultRule:
    return FaultRule(Schedule(0, steps=list(steps)))


async def send(
    proxy: Proxy, content: bytes, *, source: Source | None = None, journal: Journal | None = None
) -> str:
    """Send content in parts into a repository of its own, whose name is the result."""
    name = f"upload-{next(numbers)}"
    await send_to(proxy, name, content, source=source, journal=journal)
    return name


async def send_to(
    proxy: Proxy,
    name: str,
    content: bytes,
    *,
    source: Source | None = None,
    journal: Journal | None = None,
) -> None:
    blob = Descriptor("x", digest(content), len(content))
    async with Transport(retry=PATIENT, idle_timeout=20.0) as transport:
        repository = Repository(transport, Reference.parse(f"{proxy.address}/{name}"))
        async with Download(source or Source(content, []), blob, PATIENT, Meter()) as download:
            await LargeUpload(repository, blob, download, PATIENT, journal or Journal()).run(None)


@pytest.fixture
def contents() -> Iterator[bytes]:
    return (noise(f"upload {next(numbers)}", SIZE) for _ in itertools.count())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_large_blob_goes_in_parts_and_is_finished_by_its_digest(
    source: Client, contents: Iterator[bytes], kind: str
) -> None:
    content = next(contents)
    with Proxy(source.address, rules(kind)) as proxy:
        name = await send(proxy, content)
        parts = [seen.sent for seen in proxy.recording.seen("PATCH")]
    assert parts == [PART] * 9 + [PART - 1]
    assert await source.get_blob(name, digest(content)) == content


async def test_parts_grow_while_they_are_quick(
    source: Client, contents: Iterator[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "_QUICK", 3600.0)
    with Proxy(source.address) as proxy:
        await send(proxy, next(contents))
        assert [seen.sent for seen in proxy.recording.seen("PATCH")] == [
            PART,
            2 * PART,
            4 * PART,
            3 * PART - 1,
        ]


async def test_no_part_but_the_last_is_smaller_than_the_registry_wants(
    source: Client, contents: Iterator[bytes]
) -> None:
    """It says so once, when the upload begins."""
    content = next(contents)
    with Proxy(source.address, rules("atomic parts", minimum=3 * PART)) as proxy:
        name = await send(proxy, content)
        assert [seen.sent for seen in proxy.recording.seen("PATCH")] == [3 * PART] * 3 + [PART - 1]
    assert await source.get_blob(name, digest(content)) == content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 1, 5, 11], ids=["begin", "first part", "a part", "end"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_at_each_step(
    source: Client, contents: Iterator[bytes], kind: str, step: int, fault: Fault
) -> None:
    content = next(contents)
    with Proxy(source.address, [faulty(*[None] * step, fault), *rules(kind)]) as proxy:
        name = await send(proxy, content)
        uploaded = sum(seen.sent for seen in proxy.recording.records)
    assert await source.get_blob(name, digest(content)) == content
    if kind == "atomic parts":
        assert uploaded <= len(content) + PART


@given(st.lists(st.sampled_from([None, None, *FAULTS]), max_size=40), st.sampled_from(KINDS))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_faults_end_in_the_content_or_in_a_typed_error(
    source_address: str, steps: list[Fault | None], kind: str
) -> None:
    content = noise(f"property {next(numbers)}", SIZE)

    async def work() -> tuple[str, bool]:
        name = f"property-{next(numbers)}"
        with Proxy(source_address, [faulty(*steps), *rules(kind)]) as proxy:
            try:
                await send_to(proxy, name, content)
            except RegistryError:
                return name, False
        return name, True

    async def look(name: str) -> bytes | None:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            return await Client(session, source_address).get_blob(name, digest(content))

    name, arrived = asyncio.run(work())
    found = asyncio.run(look(name))
    assert found == content if arrived else found in (None, content)


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_content_is_read_again_and_its_upload_taken_back(
    source: Client, contents: Iterator[bytes], kind: str
) -> None:
    content = next(contents)
    wrong = bytes([content[0] ^ 1]) + content[1:]

    class Changing(Source):
        async def read_blob(self, blob: Descriptor, start: int):  # type: ignore[no-untyped-def] # noqa: ANN202
            self._content = content if self.begins else wrong
            async for chunk in super().read_blob(blob, start):
                yield chunk

    with Proxy(source.address, rules(kind)) as proxy:
        name = await send(proxy, content, source=Changing(content, []))
        assert len(proxy.recording.seen("DELETE")) == 1
        assert len(proxy.recording.seen("PUT")) == 1
        with pytest.raises(DigestMismatch):
            await send_to(proxy, f"{name}-wrong", content, source=Source(wrong, []))
        assert len(proxy.recording.seen("PUT")) == 1
    assert await source.get_blob(name, digest(content)) == content


async def test_a_source_that_breaks_is_no_fault_of_the_destination(
    source: Client, contents: Iterator[bytes]
) -> None:
    content = next(contents)
    with Proxy(source.address) as proxy:
        name = await send(proxy, content, source=Source(content, [1000, 70_000, 300_000]))
        assert len(proxy.recording.seen("POST")) == 1
        assert await source.get_blob(name, digest(content)) == content
        with pytest.raises(Unavailable, match="it broke off"):
            await send(proxy, content, source=Source(content, [5000] * 100))


async def test_a_token_that_expires_in_mid_upload_is_replaced_and_the_upload_goes_on(
    source: Client, contents: Iterator[bytes]
) -> None:
    content = next(contents)
    bearer = Bearer(uses=3)
    with Proxy(source.address, [bearer]) as proxy:
        name = await send(proxy, content)
        assert [seen.status for seen in proxy.recording.seen("PATCH")].count(401) >= 2
        assert len([seen for seen in proxy.recording.seen("POST") if seen.status == 202]) == 1
        assert list(proxy.recording.seen("GET", "/blobs/uploads/")) == []
    assert await source.get_blob(name, digest(content)) == content


async def test_a_registry_that_has_more_than_was_sent_is_not_believed(
    source: Client, contents: Iterator[bytes]
) -> None:
    content = next(contents)

    async def boast(request: Request, forward: Forward) -> Reply:
        if request.method == "GET" and "/uploads/" in request.path:
            return Reply.of(204, {"Location": request.target, "Range": f"0-{len(content) - 2}"})
        return await forward(request)

    with Proxy(source.address, [boast, faulty(None, None, Fault.RESET_BEFORE)]) as proxy:
        name = await send(proxy, content)
        assert len([seen for seen in proxy.recording.seen("POST") if seen.status == 202]) == 2
    assert await source.get_blob(name, digest(content)) == content


@pytest.mark.parametrize("location", ["relative", "none"])
async def test_where_an_upload_goes_on(source: Client, contents: Iterator[bytes], location: str) -> None:
    """A location may be relative; an answer about the state that names none means the same one."""
    content = next(contents)

    async def other(request: Request, forward: Forward) -> Reply:
        reply = await forward(request)
        if location == "none" and request.method == "GET" and "/uploads/" in request.path:
            del reply.headers["Location"]
        else:
            assert reply.headers.get("Location", "/").startswith("/")
        return reply

    chain = [other, faulty(None, None, Fault.ERROR_500), *rules("atomic parts")]
    with Proxy(source.address, chain) as proxy:
        name = await send(proxy, content)
        assert len(proxy.recording.seen("POST")) == 1
    assert await source.get_blob(name, digest(content)) == content


async def test_after_a_kill_only_what_is_missing_is_sent(
    source: Client, contents: Iterator[bytes], tmp_path: Path
) -> None:
    content, path = next(contents), tmp_path / "journal"
    endless = Source(content, [], chunk=PART)
    reached = asyncio.Event()

    async def stop_at_the_sixth(request: Request, forward: Forward) -> Reply:
        if request.method == "PATCH" and len(proxy.recording.seen("PATCH")) == 6:
            loop.call_soon_threadsafe(reached.set)
            await asyncio.sleep(3600)
        return await forward(request)

    loop = asyncio.get_running_loop()
    kept = rules("atomic parts")
    with Proxy(source.address, [stop_at_the_sixth, *kept]) as proxy:
        running = asyncio.create_task(
            send_to(proxy, "killed", content, source=endless, journal=Journal(path))
        )
        await reached.wait()
        running.cancel()  # without a goodbye to the journal
        await asyncio.wait([running])
        proxy.recording.clear()
        with Journal(path) as journal:
            await send_to(proxy, "killed", content, source=(second := Source(content, [])), journal=journal)
        assert sum(seen.sent for seen in proxy.recording.seen("PATCH")) == len(content) - 5 * PART
        assert proxy.recording.seen("POST") == []
        assert second.begins == [5 * PART]
    assert await source.get_blob("killed", digest(content)) == content
    assert not path.exists()


@pytest.mark.parametrize(
    "location", ["http://[", "nonsense", "http://127.0.0.1:1/x", "/v2/killed/blobs/uploads/gone", ""]
)
async def test_a_journal_that_leads_nowhere_costs_nothing_but_a_look(
    source: Client, contents: Iterator[bytes], location: str
) -> None:
    content = next(contents)
    with Proxy(source.address) as proxy, Journal() as journal:
        name = f"upload-{next(numbers)}"
        location = f"http://{proxy.address}{location}" if location.startswith("/") else location
        journal.note(f"{proxy.address}/{name}", digest(content), location, PART)
        await send_to(proxy, name, content, journal=journal)
        assert journal.recall(f"{proxy.address}/{name}", digest(content)) is None
    assert await source.get_blob(name, digest(content)) == content


async def small(proxy: Proxy, name: str, content: bytes) -> None:
    blob = Descriptor("x", digest(content), len(content))
    async with Transport(retry=PATIENT, idle_timeout=20.0) as transport:
        repository = Repository(transport, Reference.parse(f"{proxy.address}/{name}"))
        await upload_content(repository, blob, content)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 1], ids=["begin", "end"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_small_blob_over_each_fault(source: Client, kind: str, step: int, fault: Fault) -> None:
    content = noise(f"small {next(numbers)}", 1000)
    with Proxy(source.address, [faulty(*[None] * step, fault), *rules(kind)]) as proxy:
        await small(proxy, name := f"small-{next(numbers)}", content)
        assert proxy.recording.seen("PATCH") == []
    assert await source.get_blob(name, digest(content)) == content


async def test_a_repository_that_is_not_there_is_asked_for_once(source: Client) -> None:
    with Proxy(source.address, [Ecr(repositories=set())]) as proxy:
        with pytest.raises(NotFound, match="NAME_UNKNOWN"):
            await small(proxy, "missing", b"content")
        assert [seen.method for seen in proxy.recording.records] == ["POST"]
