"""One answer on its way in: parsed as it arrives, and handed on in chunks."""

import asyncio
from collections import deque
from http import HTTPStatus

import httptools
from multidict import CIMultiDict

from .errors import HttpError, ProtocolViolation

BARREN_LIMIT = 256 * 1024  # bytes that may arrive without any content: headers, trailers, sizes of chunks

_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_FIRST_FINAL = 200  # statuses below are interim answers (RFC 9110, 15.2)


class Exchange:
    """The answer to one request; the callbacks are those of httptools' parser.

    Attributes:
        head: done when status and headers are there, or with an HttpError.
        headers: headers of the answer.
        parts: content that has arrived and was not taken yet.
        buffered: bytes in `parts`.
        arrived: bytes of content so far.
        complete: whether the whole answer is there.
        begun: whether anything of an answer has arrived.
        keeps_alive: whether the connection can carry another exchange after this one.
        surplus: whether more has arrived than the answer.
    """

    def __init__(self, method: str) -> None:
        self.head: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.parts: deque[bytes] = deque()
        self.buffered = 0
        self.arrived = 0
        self.complete = False
        self.begun = False
        self.keeps_alive = True
        self.surplus = False
        self.error: HttpError | None = None
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self._barren = 0  # bytes since the last content
        self._left: int | None = None  # bytes of a body whose length is known, once it has begun
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Take what the peer has sent."""
        self.begun = True
        if self.complete:
            self._exceed()
        elif self._left is not None:
            self._take(data)
        else:
            self._parse(data)
        self._wake()

    def end(self, error: HttpError) -> None:
        """The connection is gone: an answer that lasts until then is complete, any other has failed."""
        if self.complete or self.error:
            return
        if self.head.done() and self._left is None and not self._is_chunked():
            self.complete = True
        else:
            self.fail(error)
        self._wake()

    def fail(self, error: HttpError) -> None:
        """Nothing more can come."""
        self.error = self.error or error
        self.keeps_alive = False
        if not self.head.done():
            self.head.set_exception(error)
            self.head.exception()  # whoever asked may be gone
        self._wake()

    async def more(self) -> None:
        """Wait until there is more content, the end, or an error."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # The callbacks of httptools.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer's."""
        if not self.head.done():
            self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The end of a head; that of an interim answer is forgotten."""
        if self.head.done():
            self._exceed()
            return
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL:
            self.headers.clear()
            return
        closes = "close" in self.headers.get("Connection", "").lower()
        self.keeps_alive = not closes and self._parser.get_http_version() == "1.1"
        if self._is_without_body(status):
            self.complete = True
        elif not self._is_chunked():
            self._left = self._stated_length()
            if self._left is None:
                self.keeps_alive = False
            self.complete = self._left == 0
        self.head.set_result(status)

    def on_body(self, data: bytes) -> None:
        """Content that the parser found: all of a chunked body, else its beginning."""
        if self.complete:
            self._exceed()
        else:
            self._take(data)

    def on_message_complete(self) -> None:
        """The end of a chunked body; the others end by their length."""
        if self.head.done() and self._is_chunked():
            self.complete = True

    def _parse(self, data: bytes) -> None:
        if self.error:
            return
        before = self.arrived
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.complete:
                self._exceed()
            else:
                self.fail(ProtocolViolation("no HTTP/1.1 answer"))
        # The parser collects a line until it ends, and takes the longer for it the more there is.
        self._barren = self._barren + len(data) if self.arrived == before else 0
        if self._barren > BARREN_LIMIT and not self.complete:
            self.fail(ProtocolViolation("the answer's headers have no end"))

    def _take(self, data: bytes) -> None:
        if self._left is not None:
            if len(data) > self._left:
                data = data[: self._left]
                self._exceed()
            self._left -= len(data)
            self.complete = self._left == 0
        self.parts.append(data)
        self.buffered += len(data)
        self.arrived += len(data)

    def _exceed(self) -> None:
        """Something arrived that nobody asked for: what else comes here is not to be trusted."""
        self.surplus = True
        self.keeps_alive = False

    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def _is_without_body(self, status: int) -> bool:
        tunnel = self._method == "CONNECT" and status < HTTPStatus.MULTIPLE_CHOICES
        return self._method == "HEAD" or status in _WITHOUT_BODY or tunnel

    def _stated_length(self) -> int | None:
        stated = self.headers.get("Content-Length")
        return int(stated) if stated is not None and stated.isascii() and stated.isdigit() else None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
