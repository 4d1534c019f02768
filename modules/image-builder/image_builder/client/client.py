"""A client of the service, on httpx."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ..layers.image import Image
from .errors import ServiceError
from .follow import LogEvent, read_events
from .uploading import upload

RECONNECT_FOR = 120.0  # seconds without an answer until following a log is given up
RECONNECT_EVERY = 0.5
READ_TIMEOUT = 60.0  # seconds; the service shows a sign of life every 15


class Client:
    """A signed-in session with one service.

    ```python
    with Client("http://localhost:2278") as service:
        service.login("me", password)
        job = service.create(request)
        for event in service.follow(job["job_id"]): print(event.text, end="")
    ```
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=READ_TIMEOUT)
        self._credentials: dict[str, Any] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def login(self, username: str, password: str) -> dict[str, Any]:
        """Sign in; again by itself when the token has expired.

        Raises:
            ServiceError: the service refused or cannot be reached.
        """
        credentials = {"username": username, "password": password}
        answer = self._answer("POST", "/users/login", credentials)
        self._credentials = credentials
        return answer

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Order an image; the job's metadata.

        Raises:
            ServiceError: the service refused or cannot be reached.
        """
        return self._answer("POST", "/jobs/images/create", request)

    def order(self, image: Image) -> dict[str, Any]:
        """Order an image of the library, and upload the large files that it has; the job's metadata.

        Raises:
            OSError: a file cannot be read.
            ServiceError: the service refused or cannot be reached.
        """
        for path in image.uploads.values():
            self.upload(path)
        return self.create(image.request().as_json())

    def upload(self, path: Path) -> str:
        """Bring a file to the service unless it is there; a broken connection goes on where it broke.

        Returns:
            The digest by which a request can use it: `"files": {"name": {"digest": …}}`.

        Raises:
            OSError: it cannot be read.
            ServiceError: the service refused, or did not answer for two minutes.
        """
        return upload(self._answer, path)

    def get(self, job_id: str) -> dict[str, Any]:
        """A job's metadata.

        Raises:
            ServiceError: the service refused or cannot be reached.
        """
        return self._answer("GET", f"/jobs/images/{job_id}/get")

    def cancel(self, job_id: str) -> dict[str, Any]:
        """End a job; its metadata.

        Raises:
            ServiceError: the service refused or cannot be reached.
        """
        return self._answer("DELETE", f"/jobs/images/{job_id}/cancel")

    def follow(self, job_id: str) -> Iterator[LogEvent]:
        """A job's log, live until the job has ended; a broken connection goes on where it broke.

        The last event has the kind `end` and the job's metadata.

        Raises:
            ServiceError: the service refused, or did not answer for two minutes.
        """
        known = 0
        answered = time.monotonic()
        while True:
            try:
                for event in self._stream(job_id, known):
                    answered = time.monotonic()
                    known = event.sequence or known
                    yield event
                    if event.kind == "end":
                        return
            except httpx.TransportError as error:
                if time.monotonic() - answered > RECONNECT_FOR:
                    raise ServiceError(f"the service does not answer: {error}") from None
            time.sleep(RECONNECT_EVERY)

    def _stream(self, job_id: str, known: int) -> Iterator[LogEvent]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(known)}
        with self._http.stream("GET", f"/jobs/images/{job_id}/logs", headers=headers) as response:
            if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return
            if response.is_error:
                response.read()
                raise _refused(response)
            yield from read_events(response.iter_lines())

    def _signed_in_again(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        credentials, self._credentials = self._credentials, None  # once: a second refusal is one
        self._answer("POST", "/users/login", credentials)
        answer = call()
        self._credentials = credentials
        return answer

    def _answer(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        content: bytes | None = None,
        offset: int | None = None,
    ) -> dict[str, Any]:
        headers = {} if offset is None else {"Upload-Offset": str(offset)}
        try:
            response = self._http.request(method, path, json=body, content=content, headers=headers)
        except httpx.TransportError as error:
            text = f"{self._http.base_url} cannot be reached: {error}"
            raise ServiceError(text, unreachable=True) from None
        if response.status_code == httpx.codes.UNAUTHORIZED and self._credentials is not None:
            return self._signed_in_again(
                lambda: self._answer(method, path, body, content=content, offset=offset)
            )
        if response.is_error:
            raise _refused(response)
        answer: dict[str, Any] = response.json()
        return answer


def _refused(response: httpx.Response) -> ServiceError:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    return ServiceError(_text(detail), response.status_code)


def _text(detail: object) -> str:
    if isinstance(detail, list):
        return "\n".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in detail)
    if isinstance(detail, dict):
        return str(detail.get("message", detail))
    return str(detail)
