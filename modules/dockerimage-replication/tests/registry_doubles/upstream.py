"""The connection to the real registry behind a proxy."""

import asyncio

from .exchange import Body, Reply, Request
from .http1 import BUFFER, chunk, is_chunked, read_reply, request_head


class Upstream:
    """One connection, opened when it is needed; requests go over it one after the other."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._sending: asyncio.Task[None] | None = None

    async def send(self, request: Request) -> Reply:
        """Send a request; the reply may come before all of the request's body is sent.

        Raises:
            CutOff: the registry closed the connection without a reply.
            Exception: what the request's body raised; the registry sees a connection that broke.
        """
        if self._sending is not None:  # the last exchange was left in its middle
            self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=BUFFER)
        assert self._reader is not None
        self._sending = asyncio.create_task(self._send(self._writer, request))
        receiving = asyncio.create_task(read_reply(self._reader, request.method))
        try:
            await asyncio.wait([self._sending, receiving], return_when=asyncio.FIRST_COMPLETED)
            if self._sending.done() and not receiving.done():
                await self._sending
            reply, keeps = await receiving
        except BaseException:
            receiving.cancel()
            self.close()
            raise
        return reply.with_body(self._followed(reply.body, keeps))

    def close(self) -> None:
        """Close the connection, whatever is under way on it."""
        if self._sending:
            self._sending.cancel()
        if self._writer:
            self._writer.close()
        self._reader = self._writer = self._sending = None

    async def _followed(self, body: Body, keeps: bool) -> Body:
        """The reply's body, after which the connection is free for the next request or closed."""
        async for content in body:
            yield content
        if keeps and self._sending and self._sending.done() and not self._sending.exception():
            self._sending = None
        else:
            self.close()

    async def _send(self, writer: asyncio.StreamWriter, request: Request) -> None:
        writer.write(request_head(request))
        chunked = is_chunked(request.headers)
        try:
            async for content in request.body:
                writer.write(chunk(content) if chunked else content)
                await writer.drain()
            if chunked:
                writer.write(chunk(b""))
            await writer.drain()
        except ConnectionError:
            pass  # the reply says why, if there is one
