"""Refuses bodies that are larger than the settings allow, before they are read."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
        if length.isdigit() and int(length) > self._limit:
            await self._refusal(scope, receive, send)
            return
        try:
            await self._app(scope, self._counted(receive), send)
        except _TooLargeError:
            await self._refusal(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise _TooLargeError
            return message

        return counting

    @property
    def _refusal(self) -> JSONResponse:
        return JSONResponse({"detail": f"the body is larger than {self._limit} bytes"}, 413)


class _TooLargeError(BaseException):
    """Passes through handlers of `Exception`: the answer is ours."""
