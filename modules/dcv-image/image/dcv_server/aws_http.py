"""One HTTP request, with the errors that callers tell apart.

AWS is spoken to without its SDK: the start has to be quick, and two small services are all that is called.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping

SECONDS = 5.0  # for each wait on the network
LARGEST = 1 << 20  # bytes; no answer that is asked for here is nearly as long


class UnreachableError(Exception):
    """No answer came; the text names the address and the reason, never the request."""


class RefusedError(Exception):
    """An answer came that is not 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.body = body


def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    proxied: bool = True,
    trust: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> bytes:
    """The body of the answer.

    `proxied`: whether the environment's proxy counts. `trust`: for https, in place of the system's.

    Raises:
        UnreachableError: there was no answer.
        RefusedError: the answer is no success.
    """
    asked = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    host = asked.host
    try:
        with _opener(proxied, trust or _trust()).open(asked, timeout=seconds) as answer:
            return bytes(answer.read(LARGEST))
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, error.read(LARGEST)) from None
    except urllib.error.URLError as error:
        raise UnreachableError(f"{host} cannot be reached: {error.reason}") from None
    except socket.timeout:  # another class than TimeoutError before Python 3.10
        raise UnreachableError(f"{host} did not answer within {seconds:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{host} broke off: {type(error).__name__}") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signed request belongs to the host it was signed for."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)


def _opener(proxied: bool, trust: ssl.SSLContext) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _NoRedirects(),
        urllib.request.HTTPSHandler(context=trust),
    ]
    if not proxied:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)
