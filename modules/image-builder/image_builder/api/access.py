"""Who may call: the dependencies of the endpoints.

They are asynchronous, also those that wait for nothing: others would each be called in a thread.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from ..accounts.tokens import Token
from ..accounts.users import User
from .services import Services

COOKIE = "image_builder_token"

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="set by /users/login")
_bearer = HTTPBearer(auto_error=False, description="the same token in a header")


async def services_of(request: Request) -> Services:
    """The service that the request came to."""
    services: Services = request.app.state.services
    return services


ServicesHere = Annotated[Services, Depends(services_of)]


@dataclass(frozen=True)
class Caller:
    """A signed-in user and the token that says so."""

    user: User
    token: Token


async def same_origin(request: Request) -> None:
    """Refuse what a page of another origin makes a browser send, with the user's cookie.

    Browsers name the origin in every request that changes something (Fetch standard, 3.1); other programs
    need not, and have no cookies that a page could abuse.
    """
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in ("same-origin", "none"):
        raise HTTPException(403, "the request comes from a page of another origin")


async def caller(
    services: ServicesHere,
    cookie: Annotated[str | None, Depends(_cookie)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The signed-in user."""
    found = await services.sessions.user(bearer.credentials if bearer else cookie)
    if found is None:
        raise HTTPException(401, "nobody is signed in: POST /users/login", {"WWW-Authenticate": "Bearer"})
    return Caller(*found)


SignedIn = Annotated[Caller, Depends(caller)]


async def administrator(signed_in: SignedIn) -> Caller:
    """The signed-in user, who has to be an administrator."""
    if not signed_in.user.administrator:
        raise HTTPException(403, "only an administrator may do this")
    return signed_in


Administrator = Annotated[Caller, Depends(administrator)]
