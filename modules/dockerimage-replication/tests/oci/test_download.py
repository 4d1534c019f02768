"""Downloads: taken up again wherever they break, and never other content than the digest says."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
from aiohttp import web
from dockerimage_replication.oci.download import WRONG_CONTENT, Download
from dockerimage_replication.oci.errors import DigestMismatch, NotFound, RegistryError, Unavailable
from dockerimage_replication.oci.manifests import Descriptor
from dockerimage_replication.oci.meter import Meter
from dockerimage_replication.oci.reference import Reference
from dockerimage_replication.oci.registry import Repository
from dockerimage_replication.oci.transport import Transport
from hypothesis import given, settings
from hypothesis import strategies as st

from .support import IMPATIENT, digest, receive, serving
from .test_copy import noise

CONTENT = noise("download", 300_000)
BLOB = Descriptor("x", digest(CONTENT), len(CONTENT))
STEP = 64 * 1024


class Source:
    """A blob that breaks off at these positions, one after the other, and records where it was begun."""

    def __init__(self, content: bytes, breaks: list[int], chunk: int = 4096) -> None:
        self.begins: list[int] = []
        self._content, self._breaks, self._chunk = content, list(breaks), chunk

    def __str__(self) -> str:
        return "source.test/a"

    async def read_blob(self, blob: Descriptor, start: int) -> AsyncGenerator[bytes, None]:
        self.begins.append(start)
        end = self._breaks.pop(0) if self._breaks else len(self._content)
        for position in range(start, max(start, end), self._chunk):
            yield self._content[position : min(end, position + self._chunk)]
        if end < len(self._content):
            raise Unavailable("it broke off")


def download(source: Source, blob: Descriptor = BLOB) -> Download:
    return Download(source, blob, IMPATIENT, Meter())


async def part(reading: Download, end: int) -> bytes:
    async with aclosing(reading.chunks(end)) as chunks:
        return b"".join([chunk async for chunk in chunks])


@given(st.lists(st.integers(0, len(CONTENT)), max_size=8).map(sorted))
@settings(max_examples=50)
def test_a_break_at_any_position_is_gone_on_from_there(breaks: list[int]) -> None:
    """Tries that get on are not counted, those that do not are: three of them are the end."""
    source = Source(CONTENT, breaks)

    async def work() -> bytes:
        async with download(source) as reading:
            return await reading.read()

    try:
        assert asyncio.run(work()) == CONTENT
    except Unavailable:
        assert len(breaks) >= IMPATIENT.tries
        steps = [after - before for before, after in zip([0, *breaks], breaks, strict=False)]
        assert sum(step < STEP for step in steps) >= IMPATIENT.tries
    else:
        assert source.begins == sorted(source.begins)


async def test_tries_that_bring_nothing_are_bounded_and_those_that_get_on_are_not() -> None:
    async with download(source := Source(CONTENT, [1, 2, 3])) as reading:
        with pytest.raises(Unavailable):
            await reading.read()
        assert source.begins == [0, 1, 2]
    slowly = list(range(STEP, len(CONTENT), STEP))
    async with download(source := Source(CONTENT, slowly)) as reading:
        assert await reading.read() == CONTENT
        assert source.begins == [0, *slowly]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_what_is_read_again_is_hashed_once(algorithm: str) -> None:
    blob = Descriptor("x", f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}", len(CONTENT))
    async with download(Source(CONTENT, []), blob) as reading:
        assert await part(reading, 200_000) == CONTENT[:200_000]
        for back in (100_000, 0, 199_999, 150_000):
            await reading.seek(back)
            assert await part(reading, back + 60_000) == CONTENT[back : back + 60_000]
        await reading.seek(5)
        assert await part(reading, len(CONTENT)) == CONTENT[5:]
        assert reading.received > len(CONTENT)


async def test_wrong_content_in_a_part_that_was_sent_is_found_at_the_end() -> None:
    wrong = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    async with download(Source(wrong, [])) as reading:
        assert await part(reading, 1000) == wrong[:1000]
        await reading.seek(10)
        with pytest.raises(DigestMismatch, match=f"source.test/a@{BLOB.digest}: the content has the digest"):
            await part(reading, len(CONTENT))
        assert isinstance(reading.failure, DigestMismatch)


async def test_the_last_chunk_of_wrong_content_is_kept_back() -> None:
    async with download(Source(CONTENT[:-1] + b"!", [])) as reading:
        received = bytearray()

        async def keep() -> None:
            async for chunk in reading.chunks(len(CONTENT)):
                received.extend(chunk)

        with pytest.raises(DigestMismatch):
            await keep()
        assert len(received) < len(CONTENT)


@pytest.mark.parametrize("chunk", [1000, len(CONTENT) + 1, len(CONTENT)])
async def test_more_than_the_descriptor_says_is_refused(chunk: int) -> None:
    async with download(Source(CONTENT + b"!", [], chunk)) as reading:
        with pytest.raises(DigestMismatch, match=f"more than the {len(CONTENT)} bytes"):
            await reading.read()


async def test_less_than_the_descriptor_says_is_a_break() -> None:
    async with download(source := Source(CONTENT[:-1], [])) as reading:
        with pytest.raises(Unavailable, match="ended too early"):
            await reading.read()
    assert source.begins[-1] == len(CONTENT) - 1


@pytest.mark.parametrize(("size", "content"), [(0, b""), (1, b"x")])
async def test_the_smallest_blobs(size: int, content: bytes) -> None:
    async with download(Source(content, []), Descriptor("x", digest(content), size)) as reading:
        assert await reading.read() == content
    async with download(Source(content, []), Descriptor("x", digest(b"other"), size)) as reading:
        with pytest.raises(DigestMismatch):
            await reading.read()


Answer = Callable[[int], web.Response]


def ranged(start: int, content: bytes, stated: str | None = None) -> web.Response:
    stated = stated or f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return web.Response(status=206, body=content, headers={"Content-Range": stated})


@pytest.mark.parametrize(
    "answer",
    [
        lambda start: ranged(start, CONTENT[start:]),
        lambda start: ranged(start, CONTENT[start:], f"bytes {start}-{len(CONTENT) - 1}/*"),
        lambda start: web.Response(body=CONTENT),
        lambda start: ranged(start - 50, CONTENT[start - 50 :]),
    ],
    ids=["as asked", "of unknown length", "everything", "from before"],
)
async def test_whatever_a_server_makes_of_a_range(answer: Answer) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            assert request.headers["Range"] == f"bytes={STEP}-"
            return answer(STEP)
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await response.prepare(request)
        await response.write(CONTENT[:STEP])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as server, Transport(retry=IMPATIENT) as transport:
        repository = Repository(transport, Reference.parse(f"{server.address}/a"))
        assert await receive(repository, BLOB) == CONTENT
        assert len(server.requests) == 2


async def test_a_later_part_than_was_asked_for_is_no_content() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return ranged(60_000, CONTENT[60_000:])

    async with serving(handler) as server, Transport(retry=IMPATIENT) as transport:
        repository = Repository(transport, Reference.parse(f"{server.address}/a"))
        with pytest.raises(Unavailable, match="another part of the content"):
            await receive(repository, BLOB)


async def test_a_redirected_blob_is_gone_on_with_at_the_other_host_without_authorization() -> None:
    async def storage(request: web.Request) -> web.StreamResponse:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if start:
            return ranged(start, CONTENT[start:])
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await response.prepare(request)
        await response.write(CONTENT[:STEP])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(storage) as other:

        async def moved(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"http://{other.address}/blob?signed=1"})

        async with serving(moved) as server, Transport(retry=IMPATIENT) as transport:
            repository = Repository(transport, Reference.parse(f"{server.address}/a"))
            assert await receive(repository, BLOB) == CONTENT
        assert [seen.headers.get("Range") for seen in other.requests] == [None, f"bytes={STEP}-"]
        assert other.authorizations() == [None, None]


async def test_wrong_content_is_asked_for_again_before_it_is_believed() -> None:
    wrong = [CONTENT[:-1] + b"!"] * (WRONG_CONTENT - 1)

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=wrong.pop() if wrong else CONTENT)

    async with serving(handler) as server, Transport(retry=IMPATIENT) as transport:
        repository = Repository(transport, Reference.parse(f"{server.address}/a"))
        assert await receive(repository, BLOB) == CONTENT
        assert len(server.requests) == WRONG_CONTENT
        wrong.extend([b"x" * len(CONTENT)] * WRONG_CONTENT)
        with pytest.raises(DigestMismatch):
            await receive(repository, BLOB)


async def test_what_is_not_there_is_not_tried_again() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async with serving(handler) as server, Transport(retry=IMPATIENT) as transport:
        repository = Repository(transport, Reference.parse(f"{server.address}/a"))
        with pytest.raises(NotFound) as missing:
            await receive(repository, BLOB)
        assert isinstance(missing.value, RegistryError)
        assert len(server.requests) == 1
