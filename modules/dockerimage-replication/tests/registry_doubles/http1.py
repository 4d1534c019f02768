"""HTTP/1.1 messages on asyncio streams (RFC 9112), as far as registries and their clients use it."""

import asyncio
from http import HTTPStatus

from multidict import CIMultiDict

from .exchange import Body, CutOff, Reply, Request

READ = 256 * 1024  # bytes of a body that are handed on at a time, at most
BUFFER = 1024 * 1024  # bytes that a connection reads ahead, and the longest head

_TLS_HANDSHAKE = b"\x16"  # first byte of a client that tries https first, as skopeo does (RFC 8446, 5.1)

_HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Expect")


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client has closed the connection."""
    head = await _read_head(reader)
    if head is None:
        return None
    (method, target, _), headers = head
    return Request(method, target, headers, _request_body(reader, headers))


async def read_reply(reader: asyncio.StreamReader, method: str) -> tuple[Reply, bool]:
    """The reply to a request with `method`, and whether another can follow on its connection.

    Raises:
        CutOff: the connection ended first.
    """
    head = await _read_head(reader)
    if head is None:
        raise CutOff
    (_, status_text, *_), headers = head
    status = int(status_text)
    if not _has_body(method, status):
        body = _no_body()
    elif "Content-Length" in headers or "Transfer-Encoding" in headers:
        body = _request_body(reader, headers)
    else:
        return Reply(status, headers, _until_end(reader)), False
    return Reply(status, headers, body), headers.get("Connection", "").lower() != "close"


def request_head(request: Request) -> bytes:
    """The bytes of a request's head; a body without a length becomes chunked."""
    headers = _framed(request.headers, chunked=is_chunked(request.headers))
    return _head(f"{request.method} {request.target} HTTP/1.1", headers)


def reply_head(reply: Reply, method: str, *, close: bool) -> bytes:
    """The bytes of a reply's head; a body without a length becomes chunked."""
    headers = _framed(reply.headers, chunked=reply_is_chunked(reply, method))
    if close:
        headers["Connection"] = "close"
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = ""
    return _head(f"HTTP/1.1 {reply.status} {phrase}", headers)


def is_chunked(headers: CIMultiDict[str]) -> bool:
    """Whether a message with these headers has a body in chunks."""
    return "chunked" in headers.get("Transfer-Encoding", "").lower()


def reply_is_chunked(reply: Reply, method: str) -> bool:
    """Whether the reply is sent in chunks."""
    return _has_body(method, reply.status) and "Content-Length" not in reply.headers


def chunk(content: bytes) -> bytes:
    """`content` as one chunk; the empty one is the last."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def _has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def _framed(headers: CIMultiDict[str], *, chunked: bool) -> CIMultiDict[str]:
    framed = CIMultiDict(headers)
    for name in _HOP_BY_HOP:
        framed.popall(name, None)
    if chunked:
        framed.popall("Content-Length", None)
        framed["Transfer-Encoding"] = "chunked"
    return framed


def _head(first: str, headers: CIMultiDict[str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> tuple[list[str], CIMultiDict[str]] | None:
    try:
        start = await reader.readexactly(1)
        if start == _TLS_HANDSHAKE:
            return None
        raw = start + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, _, value = line.partition(":")
        headers.add(name, value.strip())
    return first.split(" ", 2), headers


def _request_body(reader: asyncio.StreamReader, headers: CIMultiDict[str]) -> Body:
    if is_chunked(headers):
        return _chunks(reader)
    return _exactly(reader, int(headers.get("Content-Length", "0")))


async def _exactly(reader: asyncio.StreamReader, size: int) -> Body:
    while size:
        content = await _some(reader, size)
        size -= len(content)
        yield content


async def _chunks(reader: asyncio.StreamReader) -> Body:
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise CutOff from None
        async for content in _exactly(reader, size):
            yield content
        await reader.readuntil(b"\r\n")
        if size == 0:
            return


async def _until_end(reader: asyncio.StreamReader) -> Body:
    while content := await reader.read(READ):
        yield content


async def _some(reader: asyncio.StreamReader, size: int) -> bytes:
    try:
        content = await reader.read(min(size, READ))
    except ConnectionError:
        content = b""
    if not content:
        raise CutOff
    return content


async def _no_body() -> Body:
    return
    yield b""
