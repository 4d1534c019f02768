"""Requests to registries: limits per host, authentication, redirects, retries."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType

from multidict import CIMultiDict
from yarl import URL

from ..http1.client import Client, Lookup, Response
from ..http1.errors import (
    ConnectionBroken,
    HttpError,
    NoConnection,
    Stalled,
    Unsendable,
    UntrustedCertificate,
)
from ..shared.endpoints import Endpoints
from .authenticator import Authenticator, Authorization, Scopes
from .challenges import parse_challenges
from .credentials import CredentialStore, StaticCredentials
from .endpoints import Endpoint, endpoint_of
from .errors import (
    RegistryError,
    Renewed,
    Retryable,
    Unauthorized,
    Unavailable,
    Unreachable,
    error_from_answer,
)
from .limiter import Lane, LaneLimiter
from .proxy import proxy_for
from .retry import RetryPolicy, parse_retry_after

_ANSWER_LIMIT = 1024 * 1024  # bytes of an answer's body that are kept, unless the request says otherwise
_ERROR_LIMIT = 64 * 1024  # bytes of an error's body that are looked at
# An expired token, without a challenge: of a private registry (flipt-io/flipt#3043), of ECR Public
# (aws/containers-roadmap#2835).
_EXPIRED_IN_ECR = (HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST)
_REDIRECT_LIMIT = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REQUESTS = 128  # at a time, in each lane of a host
_MOST_TRANSFERS = 48  # at a time and host: each may have 2 MiB in memory
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
        lane: what it counts as at its host's limiter.
        headers: headers beside Authorization.
        body: bytes, which can be sent again, or a stream, which cannot.
        answer_limit: bytes of the answer's body that are kept; the rest is not read.
        patience: seconds until the answer has to begin; None for the usual ones.
    """

    method: str
    url: URL
    endpoint: Endpoint
    scopes: Scopes
    subject: str
    lane: Lane = Lane.READ
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = None
    answer_limit: int = _ANSWER_LIMIT
    patience: float | None = None

    @property
    def is_streamed(self) -> bool:
        """Whether the body can be sent only once."""
        return self.body is not None and not isinstance(self.body, bytes)

    @property
    def has_content(self) -> bool:
        """Whether the time until its answer is that of sending or storing content."""
        return bool(self.body) or self.patience is not None


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
    headers: CIMultiDict[str]
    body: bytes


class Transport:
    """Sends requests to registries; an asynchronous context manager that owns the connections.

    Args:
        endpoints: where registries are reached.
        credentials: asked when a registry wants some; without it every access is anonymous.
        retry: how requests without a stream are tried again.
        concurrency: requests at a time, per host and kind of request, that are never exceeded.
        idle_timeout: seconds without progress after which a connection counts as broken.
        lookup: decides to which address of a host to connect, or that it must not be asked at all.
    """

    def __init__(
        self,
        *,
        endpoints: Endpoints | None = None,
        credentials: CredentialStore | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int = _MOST_REQUESTS,
        idle_timeout: float = 20.0,
        lookup: Lookup | None = None,
    ) -> None:
        self.retry = retry or RetryPolicy()
        self.idle_timeout = idle_timeout
        self._endpoints = endpoints or Endpoints()
        self._authenticator = Authenticator(credentials or StaticCredentials({}), self._fetch_token)
        self._concurrency = concurrency
        self._lanes: dict[tuple[str, Lane], LaneLimiter] = {}
        self._proxies: dict[URL, URL | None] = {}
        self._client = Client(idle_timeout=idle_timeout, user_agent=_USER_AGENT, lookup=lookup)

    async def __aenter__(self) -> "Transport":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def endpoint(self, registry: str) -> Endpoint:
        """Where `registry` is reached."""
        return endpoint_of(self._endpoints, registry)

    async def request(self, request: Request) -> Answer:
        """Send a request and read the answer; unless its body is a stream, it is tried again.

        Raises:
            RegistryError: the typed error for the answer, or Unavailable without one.
        """

        async def send() -> Answer:
            async with self._lane(request.endpoint, request.lane).place(), self.stream(request) as response:
                with _connection_errors(request.subject):
                    body = await response.read(request.answer_limit)
                return Answer(response.status, response.url, response.headers, body)

        if request.is_streamed:
            return await send()
        return await self.retry.run(send)

    @asynccontextmanager
    async def transfer(self, endpoint: Endpoint) -> AsyncIterator[None]:
        """A place among the transfers of blobs from a host, to be held for the whole of one."""
        async with self._lane(endpoint, Lane.TRANSFER).place():
            yield

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Response]:
        """Send a request once, in its turn, and give the answer with its body unread.

        Raises:
            RegistryError: the typed error for the answer, or Unavailable without one and when the
                connection breaks while the body is read.
        """
        lane = self._lane(request.endpoint, request.lane)
        await lane.turn()
        begin = asyncio.get_running_loop().time()
        try:
            with _connection_errors(request.subject):
                response, authorization = await self._authenticated(request)
                try:
                    taken = asyncio.get_running_loop().time() - begin
                    error = await _error(response, request, authorization)
                    if not isinstance(error, Retryable):  # "not found" is an answer too
                        lane.answered(None if request.has_content else taken)
                    if error:
                        raise error
                    yield response
                finally:
                    response.release()
        except RegistryError as error:
            lane.failed(error)
            raise

    def _proxy(self, url: URL) -> URL | None:
        origin = url.origin()
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(url)
        return self._proxies[origin]

    def _lane(self, endpoint: Endpoint, lane: Lane) -> LaneLimiter:
        key = (endpoint.credential_host, lane)
        if key not in self._lanes:
            most = min(self._concurrency, _MOST_TRANSFERS if lane is Lane.TRANSFER else _MOST_REQUESTS)
            self._lanes[key] = LaneLimiter(most, self.retry.longest_retry_after)
        return self._lanes[key]

    async def _authenticated(self, request: Request) -> tuple[Response, Authorization | None]:
        """Send a request and answer the challenges of its registry, with one refresh of credentials."""
        endpoint, scopes = request.endpoint, request.scopes
        authorization = await self._authenticator.known(endpoint, scopes)
        answered = refreshed = False
        while True:
            response = await self._follow(request, authorization)
            own = response.url.origin() == endpoint.origin
            asks = own and response.status == HTTPStatus.UNAUTHORIZED
            expired = own and endpoint.is_ecr and bool(authorization) and response.status in _EXPIRED_IN_ECR
            if refreshed or not (asks or expired):
                return response, authorization
            refresh = authorization is not None and (authorization.basic or answered)
            challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            response.release()
            try:
                authorization = await self._authenticator.answer(
                    challenges, endpoint, scopes, rejected=authorization, refresh=refresh
                )
            except Unauthorized:
                if asks:
                    raise  # else the registry's own words, in answer to the same again, say more
            if request.is_streamed:
                raise Renewed(f"{request.subject}: the registry asked for credentials amid an upload")
            answered, refreshed = True, refresh or expired

    async def _follow(self, request: Request, authorization: Authorization | None) -> Response:
        """Send a request and follow redirects of reads; other origins get no Authorization header."""
        url = request.url
        for _ in range(_REDIRECT_LIMIT + 1):
            headers = CIMultiDict(request.headers)
            if authorization and url.origin() == request.endpoint.origin:
                headers["Authorization"] = authorization.header
            response = await self._client.send(
                request.method,
                url,
                headers,
                request.body,
                proxy=self._proxy(url),
                patience=request.patience,
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or request.method not in ("GET", "HEAD"):
                return response
            response.release()
            url = resolve(url, location, request.subject)
        raise RegistryError(f"{request.subject}: more than {_REDIRECT_LIMIT} redirects")

    async def _fetch_token(self, url: URL, authorization: Authorization | None) -> bytes:
        """GET from a token service; it takes no slot, because its caller may hold one of that host."""
        subject = f"{url.host} (token service)"

        async def send() -> bytes:
            headers = CIMultiDict({"Authorization": authorization.header} if authorization else {})
            with _connection_errors(subject):
                response = await self._client.send("GET", url, headers, proxy=self._proxy(url))
                try:
                    body = await response.read(_ANSWER_LIMIT)
                finally:
                    response.release()
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


async def _error(
    response: Response, request: Request, authorization: Authorization | None
) -> RegistryError | None:
    """The error that an answer stands for; None for a success."""
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return error_from_answer(
        request.subject,
        response.status,
        await response.read(_ERROR_LIMIT),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
        secrets=authorization.secrets if authorization else (),
    )


@contextmanager
def _connection_errors(subject: str) -> Iterator[None]:
    """Turn the errors of HTTP into ours."""
    try:
        yield
    except UntrustedCertificate as error:
        raise RegistryError(f"{subject}: the certificate is not trusted ({error})") from None
    except Unsendable as error:
        raise RegistryError(f"{subject}: {error}") from None
    except NoConnection as error:
        raise Unreachable(f"{subject}: no connection ({error})") from None
    except ConnectionBroken as error:
        what = "the answer broke off before its end" if error.answered else "the connection failed"
        raise Unavailable(f"{subject}: {what}") from None
    except Stalled:
        raise Unavailable(f"{subject}: the registry does not answer") from None
    except HttpError as error:
        raise Unavailable(f"{subject}: {error}") from None
