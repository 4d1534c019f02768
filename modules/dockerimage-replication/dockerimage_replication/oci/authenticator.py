"""Answers to the challenges of registries: Basic, or a Bearer token of the service they name.

Credentials leave this process only when their own host has asked for them. Tokens follow the docker
token authentication specification (distribution, Token Authentication).
"""

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from yarl import URL

from ..shared.endpoints import is_loopback
from .challenges import Challenge
from .credentials import Credentials, CredentialStore
from .endpoints import Endpoint
from .errors import Unauthorized

_TOKEN_LIFETIME = 60.0  # seconds, when the service does not say (the specification's default)
_MAX_TOKEN = 16 * 1024  # characters; what is longer is in no header that servers take
_KNOWN_TOKENS = 4096  # tokens that are kept
_LIFETIME_SHARE = 0.9  # of a token's lifetime in which it is used, so that none expires on the way

Scopes = tuple[str, ...]


@dataclass(frozen=True)
class Authorization:
    """A value for the Authorization header; nothing of it is in the repr.

    Attributes:
        header: the header's value.
        secrets: the texts that must not come back in a message.
        basic: it is made of the credentials themselves, and not of a token.
    """

    header: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    basic: bool

    @classmethod
    def from_credentials(cls, credentials: Credentials) -> "Authorization":
        """HTTP Basic (RFC 7617)."""
        pair = f"{credentials.username}:{credentials.password}".encode()
        encoded = base64.b64encode(pair).decode()
        return cls(f"Basic {encoded}", (encoded, credentials.password), basic=True)

    @classmethod
    def from_token(cls, token: str) -> "Authorization":
        """HTTP Bearer (RFC 6750)."""
        return cls(f"Bearer {token}", (token,), basic=False)


@dataclass(frozen=True)
class _Token:
    authorization: Authorization
    expires: float  # seconds of time.monotonic

    def is_fresh(self) -> bool:
        return time.monotonic() < self.expires


FetchToken = Callable[[URL, Authorization | None], Awaitable[bytes]]
"""GET of a token service's URL, with Basic credentials or without; raises RegistryError."""


class Authenticator:
    """Remembers how each registry wants to be authenticated, and its tokens until they expire."""

    def __init__(self, store: CredentialStore, fetch_token: FetchToken) -> None:
        self._store = store
        self._fetch_token = fetch_token
        self._basic_hosts: set[str] = set()
        self._offers: dict[str, dict[str, Challenge]] = {}
        self._tokens: dict[tuple[str, Scopes], _Token] = {}
        self._locks: defaultdict[tuple[str, Scopes], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def known(self, endpoint: Endpoint, scopes: Scopes) -> Authorization | None:
        """What this registry accepts for these scopes; None before its first challenge."""
        token = self._tokens.get((endpoint.credential_host, scopes))
        if token and token.is_fresh():
            return token.authorization
        if endpoint.credential_host in self._basic_hosts:
            return await self._credentials(endpoint.credential_host, refresh=False)
        if endpoint.is_ecr:  # always asks for Basic: being asked would double the requests of a run
            async with self._locks[endpoint.credential_host, ()]:
                return await self._credentials(endpoint.credential_host, refresh=False)
        return None

    async def answer(
        self,
        challenges: Iterable[Challenge],
        endpoint: Endpoint,
        scopes: Scopes,
        *,
        rejected: Authorization | None,
        refresh: bool,
    ) -> Authorization:
        """The answer to a 401 of `endpoint`; concurrent requests for the same scopes share one.

        Args:
            challenges: what the registry offers; Bearer is preferred. Without any, what it accepted last
                is renewed.
            endpoint: the registry.
            scopes: what the request needs; used when the challenge names no scope.
            rejected: what the request carried.
            refresh: ask the store for new credentials first.

        Raises:
            Unauthorized: no scheme that this client knows, no credentials, or they were refused.
            RegistryError: the token service failed.
        """
        offers = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
        host = endpoint.credential_host
        if offers:
            self._offers[host] = {scheme: offer.without_scope() for scheme, offer in offers.items()}
        offers = offers or self._offers.get(host, {})
        async with self._locks[endpoint.credential_host, scopes]:
            if "bearer" in offers:
                return await self._bearer(offers["bearer"], endpoint, scopes, rejected, refresh)
            if "basic" in offers or (not offers and rejected and rejected.basic):
                return await self._basic(endpoint, rejected)
        raise Unauthorized(f"{endpoint.credential_host}: asks for an authentication that is not supported")

    async def _basic(self, endpoint: Endpoint, rejected: Authorization | None) -> Authorization:
        authorization = await self._credentials(endpoint.credential_host, refresh=False)
        if authorization == rejected:
            authorization = await self._credentials(endpoint.credential_host, refresh=True)
        if authorization is None:
            raise Unauthorized(f"{endpoint.credential_host}: wants credentials, and none are configured")
        if authorization == rejected:
            raise Unauthorized(f"{endpoint.credential_host}: refused the credentials configured for it")
        self._basic_hosts.add(endpoint.credential_host)
        return authorization

    async def _bearer(
        self,
        challenge: Challenge,
        endpoint: Endpoint,
        scopes: Scopes,
        rejected: Authorization | None,
        refresh: bool,
    ) -> Authorization:
        key = (endpoint.credential_host, scopes)
        cached = self._tokens.get(key)
        if cached and cached.is_fresh() and cached.authorization != rejected:
            return cached.authorization
        authorization = await self._credentials(endpoint.credential_host, refresh=refresh)
        if refresh and authorization is None:
            raise Unauthorized(f"{endpoint.credential_host}: wants credentials, and none are configured")
        url = _token_url(challenge, endpoint, scopes, with_credentials=authorization is not None)
        try:
            answer = await self._fetch_token(url, authorization)
        except Unauthorized:
            if authorization is None or refresh:
                raise
            authorization = await self._credentials(endpoint.credential_host, refresh=True)
            answer = await self._fetch_token(url, authorization)
        token = _parse_token(answer, url)
        self._tokens.pop(key, None)
        self._tokens[key] = token
        while len(self._tokens) > _KNOWN_TOKENS:
            del self._tokens[next(iter(self._tokens))]  # the oldest
        return token.authorization

    async def _credentials(self, host: str, *, refresh: bool) -> Authorization | None:
        credentials = await self._store.credentials(host, refresh=refresh)
        return Authorization.from_credentials(credentials) if credentials else None


def _token_url(challenge: Challenge, endpoint: Endpoint, scopes: Scopes, *, with_credentials: bool) -> URL:
    try:
        realm = URL(challenge.parameters.get("realm", ""))
        usable = realm.scheme in ("http", "https") and realm.host is not None and realm.user is None
    except ValueError:
        usable = False
    if not usable:
        raise Unauthorized(f"{endpoint.credential_host}: names no usable token service")
    same_host = realm.host == endpoint.origin.host and realm.scheme == endpoint.origin.scheme
    if with_credentials and not (realm.scheme == "https" or is_loopback(realm.authority) or same_host):
        raise Unauthorized(
            f"{endpoint.credential_host}: its token service {realm.host} has no https, so the "
            "credentials are not sent there"
        )
    query = [("scope", scope) for scope in challenge.parameters.get("scope", "").split() or scopes]
    if "service" in challenge.parameters:
        query.append(("service", challenge.parameters["service"]))
    return realm.extend_query(query)


def _parse_token(answer: bytes, url: URL) -> _Token:
    try:
        value = json.loads(answer)
        token = value.get("token") or value.get("access_token")
        lifetime = value.get("expires_in") or _TOKEN_LIFETIME
    except (ValueError, AttributeError, RecursionError):
        token, lifetime = None, _TOKEN_LIFETIME
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise Unauthorized(f"{url.host}: the token service sent no token")
    if len(token) > _MAX_TOKEN:
        raise Unauthorized(f"{url.host}: the token service sent a token of {len(token)} characters")
    seconds = float(lifetime) if isinstance(lifetime, int | float) else _TOKEN_LIFETIME
    return _Token(Authorization.from_token(token), time.monotonic() + seconds * _LIFETIME_SHARE)
