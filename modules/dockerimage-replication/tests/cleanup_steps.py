"""Lets another side act between any two calls to AWS."""

from collections.abc import Callable
from typing import Any

import pytest
from dockerimage_replication.aws import Aws


class Steps:
    """Does something of the other side before call number `at` of this side's AWS clients."""

    def __init__(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self._at: int | None = None
        self._other: Callable[[], None] = lambda: None
        for client in (aws.s3, aws.ecr):
            original = client._make_api_call  # type: ignore[union-attr]

            def call(operation: str, parameters: Any, made: Any = original) -> Any:  # noqa: ANN401
                self._before(operation)
                return made(operation, parameters)

            monkeypatch.setattr(client, "_make_api_call", call)

    def interrupt(self, at: int, other: Callable[[], None]) -> None:
        self.calls, self._at, self._other = [], at, other

    @property
    def happened(self) -> bool:
        return self._at is None

    def _before(self, operation: str) -> None:
        self.calls.append(operation)
        if self._at is not None and len(self.calls) > self._at:
            self._at = None
            self._other()
