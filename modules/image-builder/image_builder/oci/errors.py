"""Errors of the registry client, typed by what a caller can do about them.

No message holds credentials, an Authorization header or the query of a URL, and none has the
exception of the HTTP library as its cause, because that one quotes whole URLs.
"""

# ruff: noqa: N818 - the names say what happened; all of them are RegistryErrors

import json
import re
from collections.abc import Iterable
from http import HTTPStatus

_MESSAGE_LIMIT = 300  # characters of a registry's own message that are quoted


class RegistryError(Exception):
    """A registry refused a request, or its answer makes no sense.

    Attributes:
        status: HTTP status of the answer, None when there was none.
        code: the registry's own error code (OCI distribution-spec, Error codes), None without one.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class NotFound(RegistryError):
    """The repository, manifest or blob does not exist: check the reference."""


class Unauthorized(RegistryError):
    """The registry wants credentials, or others than those that were sent (401)."""


class Denied(RegistryError):
    """The credentials are known but may not do this (403)."""


class DigestMismatch(RegistryError):
    """Content is not what its digest or its size says: never use it."""


class InvalidManifest(RegistryError):
    """A manifest breaks the image specification or a limit of this client."""


class Retryable(RegistryError):
    """The same request may work later.

    Attributes:
        retry_after: seconds that the registry asked to wait, None when it did not say.
        given_up: a bounded number of tries has been spent on it; do not try once more.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after
        self.given_up = False


class TooManyRequests(Retryable):
    """The registry limits the rate of requests (429)."""


class Unavailable(Retryable):
    """No connection, a connection that broke, or an error of the server (5xx)."""


class Renewed(Retryable):
    """The registry took nothing of a stream, for it wanted other credentials: now there are some."""


class Unreachable(Unavailable):
    """Nobody answers at the address: it may be wrong, so that it is not tried for long."""


_OTHER: tuple[type[RegistryError], str] = (RegistryError, "the registry refused the request")
_KINDS: dict[int, tuple[type[RegistryError], str]] = {
    HTTPStatus.UNAUTHORIZED: (Unauthorized, "the registry refused the credentials, or wants some"),
    HTTPStatus.FORBIDDEN: (Denied, "access denied"),
    HTTPStatus.NOT_FOUND: (NotFound, "not found"),
    HTTPStatus.TOO_MANY_REQUESTS: (TooManyRequests, "too many requests"),
}


def error_from_answer(
    subject: str, status: int, body: bytes, *, retry_after: float | None, secrets: Iterable[str]
) -> RegistryError:
    """The typed error for an answer that is not a success.

    Args:
        subject: what the request was about, in the user's terms (a reference or a host).
        status: HTTP status of the answer.
        body: its body, expected as in the OCI distribution-spec, Error codes.
        retry_after: seconds from its Retry-After header.
        secrets: texts that went out with the request; an answer that echoes them is masked.
    """
    code, message = _registry_error(body)
    masked = _masked(f"{code}: {message}" if code and message else code or message, secrets)
    text = f"{subject}: {_meaning(status)} (HTTP {status}{f', {masked}' if masked else ''})"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests(text, status=status, code=code or None, retry_after=retry_after)
    if _has_failed(status):
        return Unavailable(text, status=status, code=code or None, retry_after=retry_after)
    kind, _ = _KINDS.get(status, _OTHER)
    return kind(text, status=status, code=code or None)


def _meaning(status: int) -> str:
    if _has_failed(status):
        return "the registry failed"
    return _KINDS.get(status, _OTHER)[1]


def _has_failed(status: int) -> bool:
    """Whether it may work later: what is not implemented (501) stays so."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED


def _registry_error(body: bytes) -> tuple[str, str]:
    """Code and message of the first entry, empty texts where the body has another shape."""
    try:
        first = json.loads(body.decode())["errors"][0]
        code, message = first.get("code"), first.get("message")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
    return (code if isinstance(code, str) else "", message if isinstance(message, str) else "")


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"\?\S*", "?***", text)
    text = "".join(character if character.isprintable() else " " for character in text)
    return text[:_MESSAGE_LIMIT]
