"""Docker token authentication (distribution: Token Authentication) in front of a registry."""

import base64
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from .exchange import Forward, Reply, Request, parse_path

REALM = "/token"

_PULL, _PUSH = "pull", "pull,push"


@dataclass
class _Token:
    scopes: frozenset[str]
    uses: int


@dataclass
class Bearer:
    """A registry that wants tokens and the service that gives them; a rule of a `Proxy`.

    Attributes:
        accounts: password by user; without any, everybody gets what they ask for.
        uses: requests that a token is good for; time plays no role, so that runs can be repeated.
        expires_in: seconds that the service says a token is good for.
        issued: how often a token for these scopes was given.
    """

    accounts: Mapping[str, str] = field(default_factory=dict)
    uses: int = 1_000_000
    expires_in: int = 300
    issued: Counter[frozenset[str]] = field(default_factory=Counter)
    _tokens: dict[str, _Token] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def __call__(self, request: Request, forward: Forward) -> Reply:
        if request.path == REALM:
            return self._issue(request)
        needed = _scopes(request)
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(value) if scheme == "Bearer" else None
        if token is None or token.uses == 0:
            return _challenge(request, needed, 'error="invalid_token"' if token else "")
        if not needed <= token.scopes:
            return _challenge(request, needed, 'error="insufficient_scope"')
        token.uses -= 1
        return await forward(request)

    def _issue(self, request: Request) -> Reply:
        if self.accounts and not self._knows(request.headers.get("Authorization", "")):
            return Reply.error(401, "UNAUTHORIZED", "incorrect username or password")
        asked = parse_qs(urlsplit(request.target).query).get("scope", [])
        scopes = frozenset(_each(" ".join(asked).split()))
        self.issued[scopes] += 1
        name = f"bearer-token-{next(self._numbers)}"
        self._tokens[name] = _Token(scopes, self.uses)
        body = json.dumps({"token": name, "expires_in": self.expires_in}).encode()
        return Reply.of(200, {"Content-Type": "application/json"}, body)

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme != "Basic":
            return False
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return self.accounts.get(user) == password


def _scopes(request: Request) -> frozenset[str]:
    """What a request needs: `repository:NAME:ACTION` for each action."""
    place = parse_path(request.path)
    if place is None:
        return frozenset()
    actions = _PULL if request.method in ("GET", "HEAD") else _PUSH
    needed = [f"repository:{place.repository}:{actions}"]
    if "mount" in request.query and "from" in request.query:
        needed.append(f"repository:{request.query['from']}:{_PULL}")
    return frozenset(_each(needed))


def _each(scopes: list[str]) -> list[str]:
    """Scopes with one action each."""
    parts = [scope.rpartition(":") for scope in scopes]
    return [f"{name}:{action}" for name, _, actions in parts for action in actions.split(",")]


def _challenge(request: Request, needed: frozenset[str], error: str) -> Reply:
    by_name: dict[str, list[str]] = {}
    for scope in sorted(needed):
        name, _, action = scope.rpartition(":")
        by_name.setdefault(name, []).append(action)
    scope_text = " ".join(f"{name}:{','.join(actions)}" for name, actions in by_name.items())
    parts = [f'Bearer realm="http://{request.headers.get("Host", "")}{REALM}"', 'service="registry.test"']
    parts += [f'scope="{scope_text}"'] if scope_text else []
    parts += [error] if error else []
    return Reply.error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": ",".join(parts)})
