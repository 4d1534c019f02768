"""Refuses bodies that are larger than the settings allow, before they are read.

A framework reads and parses a body before it asks who sends it: what no endpoint needs is refused first.
"""

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SMALL = 64 * 1024  # bytes of all bodies but orders and pieces of files
_LARGE = re.compile(r"/jobs/images/create|/uploads/[^/]+/append")


class BodyLimit:
    """Answers 413 to what is too large, whether or not it says its length."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        limit = self._limit if _LARGE.fullmatch(scope["path"]) else min(self._limit, _SMALL)
        if length.isdigit() and int(length) > limit:
            await _refusal(limit)(scope, receive, send)
            return
        try:
            await self._app(scope, _counted(receive, limit), send)
        except _TooLargeError:
            await _refusal(limit)(scope, receive, send)


def _counted(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise _TooLargeError
        return message

    return counting


def _refusal(limit: int) -> JSONResponse:
    return JSONResponse({"detail": f"the body is larger than {limit} bytes"}, 413)


class _TooLargeError(BaseException):
    """Passes through handlers of `Exception`: the answer is ours."""
