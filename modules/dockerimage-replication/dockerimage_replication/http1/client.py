"""The client: connections by where they lead, kept for the next request."""

import asyncio
import base64
import os
import re
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from multidict import CIMultiDict
from yarl import URL

from .connection import Body, Connection
from .errors import ConnectionBroken, HttpError, NoConnection, Unsendable, UntrustedCertificate
from .exchange import Exchange

_CONNECT_TIMEOUT = 10.0  # seconds
_KEPT = 10.0  # seconds that an idle connection is kept; servers close theirs after 15 or more
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "POST"})  # what a server that closed has not half done
_VISIBLE = re.compile(r"[!-~]+")
_WORDS = 3  # of a request line: method, address, version
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")

# From host and port to the address to connect to; what it raises ends the request, unchanged.
Lookup = Callable[[str, int], Awaitable[str]]


@dataclass(frozen=True)
class _Route:
    """Where a connection leads: connections with the same route can stand for each other."""

    scheme: str
    host: str
    port: int
    proxy: URL | None


@dataclass(frozen=True)
class Response:
    """An answer whose content may still be on its way.

    Attributes:
        status: HTTP status.
        headers: headers, by name in any case.
        url: address that answered.
    """

    status: int
    headers: CIMultiDict[str]
    url: URL
    _exchange: Exchange
    _connection: Connection
    _keep: Callable[[Connection], None]
    _idle_timeout: float

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The content, in chunks as they arrive; raises HttpError when it breaks off or stalls."""
        return self._connection.content(self._exchange, self._idle_timeout)

    async def read(self, limit: int) -> bytes:
        """The first `limit` bytes of the content."""
        content = bytearray()
        async for chunk in self.chunks():
            content += chunk
            if len(content) >= limit:
                break
        return bytes(content[:limit])

    def release(self) -> None:
        """The answer is done with; a connection with unread content is closed."""
        if self._connection.finish(self._exchange):
            self._keep(self._connection)


class Client:
    """Sends requests; it opens as many connections as there are requests at a time.

    Args:
        idle_timeout: seconds without progress after which an exchange has stalled.
        user_agent: sent with every request.
        lookup: decides to which address of a host to connect, or that it must not be asked at all. Hosts
            behind a proxy are judged too; their addresses are the proxy's own to find.
    """

    def __init__(self, *, idle_timeout: float, user_agent: str, lookup: Lookup | None = None) -> None:
        self._idle_timeout = idle_timeout
        self._user_agent = user_agent
        self._lookup = lookup
        self._idle: defaultdict[_Route, list[tuple[Connection, float]]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """Close all idle connections."""
        for connections in self._idle.values():
            for connection, _ in connections:
                connection.abort()
        self._idle.clear()

    async def send(
        self,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: Body = None,
        *,
        proxy: URL | None = None,
        patience: float | None = None,
    ) -> Response:
        """Send a request; the answer has to be released.

        Args:
            method: HTTP method.
            url: http or https.
            headers: headers beside Host, User-Agent and, for bytes, Content-Length.
            body: content; a stream needs its Content-Length among the headers.
            proxy: proxy to go through, with its credentials.
            patience: seconds until the answer has to begin, in place of the idle timeout.

        Raises:
            HttpError: there is no answer.
            Exception: what a streamed body raises, unchanged.
        """
        route = _Route(url.scheme, *_address(url), proxy)
        head = self._head(method, url, headers, body, proxy)
        while True:
            kept = self._take(route)
            connection = kept or await self._connect(route)
            try:
                exchange = await connection.exchange(
                    method,
                    head,
                    body,
                    idle_timeout=self._idle_timeout,
                    patience=patience or self._idle_timeout,
                )
            except ConnectionBroken as error:
                # The server has closed a connection that it found idle: that says nothing about it.
                again = method in _REPEATABLE and (body is None or isinstance(body, bytes))
                if kept and again and not error.answered:
                    continue
                raise
            status = exchange.head.result()
            return Response(
                status,
                exchange.headers,
                url,
                exchange,
                connection,
                lambda connection: self._put(route, connection),
                self._idle_timeout,
            )

    def _take(self, route: _Route) -> Connection | None:
        now = asyncio.get_running_loop().time()
        connections = self._idle[route]
        while connections:
            connection, since = connections.pop()
            if connection.usable and now - since < _KEPT:
                return connection
            connection.abort()
        return None

    def _put(self, route: _Route, connection: Connection) -> None:
        self._idle[route].append((connection, asyncio.get_running_loop().time()))

    def _head(self, method: str, url: URL, headers: CIMultiDict[str], body: Body, proxy: URL | None) -> bytes:
        target = url.raw_path_qs
        sent = CIMultiDict(
            {"Host": _host(url), "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        )
        sent.update(headers)
        if proxy and url.scheme == "http":
            target = str(url.with_fragment(None))
            sent.update(_proxy_authorization(proxy))
        if isinstance(body, bytes):
            sent["Content-Length"] = str(len(body))
        elif body is None and method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = "0"
        return _encoded(f"{method} {target} HTTP/1.1", sent)

    async def _connect(self, route: _Route) -> Connection:
        """Open a connection.

        Raises:
            NoConnection: nobody answers there.
            UntrustedCertificate: who answers is not trusted.
        """
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                address = await self._lookup(route.host, route.port) if self._lookup else None
                if route.proxy:
                    return await self._through(route, route.proxy)
                return await self._dial(route.host, route.port, tls=route.scheme == "https", address=address)
        except TimeoutError:
            raise NoConnection(f"no connection within {_CONNECT_TIMEOUT:.0f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise UntrustedCertificate(error.verify_message) from None
        except OSError as error:
            raise NoConnection(_reason(error)) from None

    async def _dial(self, host: str, port: int, *, tls: bool, address: str | None = None) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection,
            address or host,
            port,
            ssl=self._context() if tls else None,
            server_hostname=host if tls else None,
        )
        return connection

    async def _through(self, route: _Route, proxy: URL) -> Connection:
        """A connection to a proxy, and for https a tunnel through it (RFC 9110, 9.3.6)."""
        connection = await self._dial(*_address(proxy), tls=proxy.scheme == "https")
        if route.scheme == "http":
            return connection
        authority = f"[{route.host}]:{route.port}" if ":" in route.host else f"{route.host}:{route.port}"
        headers = CIMultiDict({"Host": authority, **_proxy_authorization(proxy)})
        head = _encoded(f"CONNECT {authority} HTTP/1.1", headers)
        try:
            exchange = await connection.exchange(
                "CONNECT", head, None, idle_timeout=_CONNECT_TIMEOUT, patience=_CONNECT_TIMEOUT
            )
        except HttpError as error:
            raise NoConnection(f"the proxy: {error}") from None
        status = exchange.head.result()
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            connection.abort()
            raise NoConnection(f"the proxy answers HTTP {status}")
        if not connection.hand_over(exchange):
            raise NoConnection("the proxy sends something of its own through the tunnel")
        loop = asyncio.get_running_loop()
        tunnel = await loop.start_tls(
            connection.transport, connection, self._context(), server_hostname=route.host
        )
        if tunnel is None:
            raise NoConnection("the proxy has closed the tunnel")
        connection.connection_made(tunnel)
        return connection

    def _context(self) -> ssl.SSLContext:
        """Made at the first use: it reads all certificates, and SSL_CERT_FILE as it is then."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _address(url: URL) -> tuple[str, int]:
    if url.raw_host is None or url.port is None:
        raise NoConnection("the address has no host")
    return url.raw_host, url.port


def _host(url: URL) -> str:
    host, port = _address(url)
    host = f"[{host}]" if ":" in host else host
    return host if url.is_default_port() else f"{host}:{port}"


def _proxy_authorization(proxy: URL) -> dict[str, str]:
    if proxy.user is None:
        return {}
    pair = f"{unquote(proxy.raw_user or '')}:{unquote(proxy.raw_password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _encoded(line: str, headers: CIMultiDict[str]) -> bytes:
    """Request line and headers; nothing in them can begin a line of its own."""
    words = line.split(" ")
    if len(words) != _WORDS or not all(map(_VISIBLE.fullmatch, words)):
        raise Unsendable("the address has characters that cannot be sent")
    lines = [line]
    for name, value in headers.items():
        if not _HEADER_VALUE.fullmatch(value):
            raise Unsendable(f"the header {name} has characters that cannot be sent")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reason(error: OSError) -> str:
    """Why there is no connection; asyncio puts the address into `strerror`."""
    if isinstance(error, ssl.SSLError):  # its numbers are those of OpenSSL
        return f"TLS: {(error.reason or 'it failed').lower().replace('_', ' ')}"
    if error.errno is not None and error.errno > 0:  # the numbers of name resolution are negative
        return os.strerror(error.errno)
    return error.strerror or str(error)
