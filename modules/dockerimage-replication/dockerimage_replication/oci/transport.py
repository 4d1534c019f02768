"""Requests to registries: one HTTP session, limits per host, authentication, redirects, retries."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..shared.endpoints import Endpoints
from .authenticator import Authenticator, Authorization, Scopes
from .challenges import parse_challenges
from .credentials import CredentialStore, StaticCredentials
from .endpoints import Endpoint, endpoint_of
from .errors import RegistryError, Unavailable, error_from_answer
from .proxy import proxy_for
from .retry import RetryPolicy, parse_retry_after

CHUNK = 1024 * 1024  # bytes of a body that are handed on at a time, at most

_CONNECT_TIMEOUT = 10.0  # seconds
_ANSWER_LIMIT = 1024 * 1024  # bytes of an answer's body that are kept, unless the request says otherwise
_ERROR_LIMIT = 64 * 1024  # bytes of an error's body that are looked at
_REDIRECT_LIMIT = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_USER_AGENT = "dockerimage-replication"


@dataclass(frozen=True)
class Request:
    """One request to a registry.

    Attributes:
        method: HTTP method.
        url: address; it gets an Authorization header only if it is on the endpoint's origin.
        endpoint: the registry.
        scopes: what a token for it has to allow (docker token authentication, scope).
        subject: what errors call it, in the user's terms.
        headers: headers beside Authorization.
        body: bytes, which can be sent again, or a stream, which cannot.
        answer_limit: bytes of the answer's body that are kept; the rest is not read.
    """

    method: str
    url: URL
    endpoint: Endpoint
    scopes: Scopes
    subject: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = None
    answer_limit: int = _ANSWER_LIMIT

    @property
    def is_streamed(self) -> bool:
        """Whether the body can be sent only once."""
        return self.body is not None and not isinstance(self.body, bytes)


@dataclass(frozen=True)
class Answer:
    """A successful answer (2xx) with its body.

    Attributes:
        status: HTTP status.
        url: address that answered, after redirects.
        headers: headers, by name in any case.
        body: body, cut off at the request's `answer_limit`.
    """

    status: int
    url: URL
    headers: CIMultiDictProxy[str]
    body: bytes


class Transport:
    """Sends requests to registries; an asynchronous context manager that owns the connections.

    Per registry host, a bounded number of requests that read and as many that write are under way at
    a time. The two are counted apart because a blob is read while it is written: with one count,
    copies within a registry could wait for each other for ever.

    Args:
        endpoints: where registries are reached.
        credentials: asked when a registry wants some; without it every access is anonymous.
        retry: how requests without a stream are tried again.
        concurrency: requests that read, and requests that write, at a time and per host.
        idle_timeout: seconds without a byte after which a connection counts as broken.
    """

    def __init__(
        self,
        *,
        endpoints: Endpoints | None = None,
        credentials: CredentialStore | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int = 8,
        idle_timeout: float = 60.0,
    ) -> None:
        self.retry = retry or RetryPolicy()
        self._endpoints = endpoints or Endpoints()
        self._authenticator = Authenticator(credentials or StaticCredentials({}), self._fetch_token)
        self._slots: defaultdict[tuple[str, bool], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(concurrency)
        )
        self._idle_timeout = idle_timeout

    async def __aenter__(self) -> "Transport":
        self._session = aiohttp.ClientSession(
            # The limits are the slots above. A new context reads SSL_CERT_FILE now, not at import.
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=self._idle_timeout
            ),
            # A registry's digests are those of the bytes on the wire.
            headers={"Accept-Encoding": "identity", "User-Agent": _USER_AGENT},
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def endpoint(self, registry: str) -> Endpoint:
        """Where `registry` is reached."""
        return endpoint_of(self._endpoints, registry)

    async def request(self, request: Request) -> Answer:
        """Send a request and read the answer; unless its body is a stream, it is tried again.

        Raises:
            RegistryError: the typed error for the answer, or Unavailable without one.
        """

        async def send() -> Answer:
            async with self.stream(request) as response:
                body = await _read(response, request.answer_limit)
                return Answer(response.status, response.url, response.headers, body)

        if request.is_streamed:
            return await send()
        return await self.retry.run(send)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request once, and give the answer with its body unread; it holds a slot of its host.

        Raises:
            RegistryError: the typed error for the answer, or Unavailable without one and when the
                connection breaks while the body is read.
        """
        writes = request.method not in ("GET", "HEAD")
        async with self._slots[request.endpoint.credential_host, writes]:
            with _connection_errors(request.subject):
                response, authorization = await self._authenticated(request)
                try:
                    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                        raise await _error(response, request, authorization)
                    yield response
                finally:
                    response.release()

    async def _authenticated(self, request: Request) -> tuple[aiohttp.ClientResponse, Authorization | None]:
        """Send a request and answer the challenges of its registry, with one refresh of credentials."""
        endpoint, scopes = request.endpoint, request.scopes
        authorization = await self._authenticator.known(endpoint, scopes)
        answered = refreshed = False
        while True:
            response = await self._follow(request, authorization)
            asks = response.status == HTTPStatus.UNAUTHORIZED and response.url.origin() == endpoint.origin
            if not asks or refreshed:
                return response, authorization
            if request.is_streamed:
                response.release()
                raise Unavailable(f"{request.subject}: the registry asked for credentials amid an upload")
            refreshed = authorization is not None and (authorization.basic or answered)
            challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            response.release()
            authorization = await self._authenticator.answer(
                challenges, endpoint, scopes, rejected=authorization, refresh=refreshed
            )
            answered = True

    async def _follow(self, request: Request, authorization: Authorization | None) -> aiohttp.ClientResponse:
        """Send a request and follow redirects of reads; other origins get no Authorization header."""
        url = request.url
        for _ in range(_REDIRECT_LIMIT + 1):
            headers = CIMultiDict(request.headers)
            if authorization and url.origin() == request.endpoint.origin:
                headers["Authorization"] = authorization.header
            response = await self._send(request, url, headers)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or request.method not in ("GET", "HEAD"):
                return response
            response.release()
            url = resolve(url, location, request.subject)
        raise RegistryError(f"{request.subject}: more than {_REDIRECT_LIMIT} redirects")

    async def _send(self, request: Request, url: URL, headers: CIMultiDict[str]) -> aiohttp.ClientResponse:
        async with asyncio.timeout(None) as stall:
            body: bytes | _StreamedBody | None
            if request.body is None or isinstance(request.body, bytes):
                body = request.body
            else:
                body = _StreamedBody(request.body, stall, self._idle_timeout)
            try:
                return await self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    proxy=proxy_for(url),
                )
            except aiohttp.ClientError:
                if isinstance(body, _StreamedBody) and body.failure:
                    raise body.failure from None
                raise
            finally:
                if isinstance(body, _StreamedBody):
                    body.stop_clock()

    async def _fetch_token(self, url: URL, authorization: Authorization | None) -> bytes:
        """GET from a token service; it takes no slot, because its caller may hold one of that host."""
        subject = f"{url.host} (token service)"

        async def send() -> bytes:
            headers = {"Authorization": authorization.header} if authorization else {}
            with _connection_errors(subject):
                async with self._session.get(
                    url, headers=headers, allow_redirects=False, proxy=proxy_for(url)
                ) as response:
                    body = await _read(response, _ANSWER_LIMIT)
            if response.status != HTTPStatus.OK:
                raise error_from_answer(
                    subject,
                    response.status,
                    body,
                    retry_after=parse_retry_after(response.headers.get("Retry-After")),
                    secrets=authorization.secrets if authorization else (),
                )
            return body

        return await self.retry.run(send)


def resolve(base: URL, location: str, subject: str) -> URL:
    """The absolute URL of a Location header, its escapes left as they are.

    Raises:
        RegistryError: it is no http(s) URL.
    """
    try:
        url = base.join(URL(location, encoded=True))
        if url.scheme in ("http", "https") and url.host and url.port and url.user is None:
            return url
    except ValueError:
        pass
    raise RegistryError(f"{subject}: the registry's Location header is no http(s) URL")


class _StreamedBody:
    """A stream on its way out: keeps its own failure, and bounds how long the receiver may stall.

    The HTTP library reports a failure of the stream as one of the connection, and has no timeout
    for a receiver that stops reading.
    """

    def __init__(self, chunks: AsyncIterator[bytes], stall: asyncio.Timeout, idle_timeout: float) -> None:
        self.failure: Exception | None = None
        self._chunks = chunks
        self._stall: asyncio.Timeout | None = stall
        self._idle_timeout = idle_timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self._set_clock(asyncio.get_running_loop().time() + self._idle_timeout)
                yield chunk
                self._set_clock(None)
        except Exception as error:
            self.failure = error
            raise

    def stop_clock(self) -> None:
        """The answer is here or has failed: the rest of the body does not matter any more."""
        self._stall = None

    def _set_clock(self, deadline: float | None) -> None:
        if self._stall:
            self._stall.reschedule(deadline)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body's first `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])


async def _error(
    response: aiohttp.ClientResponse, request: Request, authorization: Authorization | None
) -> RegistryError:
    return error_from_answer(
        request.subject,
        response.status,
        await _read(response, _ERROR_LIMIT),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
        secrets=authorization.secrets if authorization else (),
    )


@contextmanager
def _connection_errors(subject: str) -> Iterator[None]:
    """Turn the errors of the HTTP library into ours; theirs quote URLs, so they are not chained."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise RegistryError(
            f"{subject}: the certificate is not trusted ({error.certificate_error})"
        ) from None
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(f"{subject}: no connection ({error.os_error})") from None
    except aiohttp.ClientPayloadError:
        raise Unavailable(f"{subject}: the answer broke off before its end") from None
    except TimeoutError:
        raise Unavailable(f"{subject}: the registry does not answer") from None
    except aiohttp.ClientError as error:
        raise Unavailable(f"{subject}: the connection failed ({type(error).__name__})") from None
