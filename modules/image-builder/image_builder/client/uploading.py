"""Brings a large file to the service, from where it broke off if it does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from ..layers.local_files import digest_of_file
from .errors import ServiceError

RETRY_FOR = 120.0  # seconds without progress until an upload is given up
RETRY_EVERY = 0.5

Answer = dict[str, Any]
Call = Callable[..., Answer]


def upload(call: Call, path: Path) -> str:
    """Upload a file unless the service has it; its digest.

    Args:
        call: makes one call of the service: method, path, and for parts their content and offset.
        path: the file.

    Raises:
        OSError: it cannot be read.
        ServiceError: the service refused, or did not answer for two minutes.
    """
    digest = digest_of_file(path)
    with path.open("rb") as file:
        _Upload(call, digest, path.stat().st_size, file).run()
    return digest


class _Upload:
    def __init__(self, call: Call, digest: str, size: int, file: BinaryIO) -> None:
        self._call = call
        self._digest = digest
        self._size = size
        self._file = file

    def run(self) -> None:
        state = self._begin()
        last, furthest = time.monotonic(), state["offset"]
        while not state["complete"]:
            try:
                state = self._next(state)
            except ServiceError as error:
                if not _passes(error) or time.monotonic() - last > RETRY_FOR:
                    raise
                time.sleep(RETRY_EVERY)
                state = self._again(state)
            if state["offset"] > furthest:
                last, furthest = time.monotonic(), state["offset"]

    def _begin(self) -> Answer:
        return self._call("POST", "/uploads/create", {"digest": self._digest, "size": self._size})

    def _again(self, state: Answer) -> Answer:
        """Where the upload stands now; what was known when the service does not say."""
        try:
            return self._begin()
        except ServiceError as error:
            if _passes(error):
                return state
            raise

    def _next(self, state: Answer) -> Answer:
        offset = state["offset"]
        if offset == self._size:
            return self._call("PUT", f"/uploads/{self._digest}/complete")
        self._file.seek(offset)
        part = self._file.read(min(state["part_size"], self._size - offset))
        if not part:
            raise ServiceError("the file has become shorter while it was uploaded")
        return self._call("PATCH", f"/uploads/{self._digest}/append", content=part, offset=offset)


def _passes(error: ServiceError) -> bool:
    """Whether another try may help: the connection broke, or the upload stands elsewhere than we thought."""
    return error.unreachable or error.status in (
        httpx.codes.REQUEST_TIMEOUT,
        httpx.codes.CONFLICT,
        httpx.codes.BAD_GATEWAY,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    )
