"""Uploads that are under way, on disk: a run that was killed goes on where it stopped.

Lines of JSON, one for each step of an upload; the last one of an upload counts. The system keeps what
a killed process has written, so nothing is flushed to the disk. Locations of uploads can be secrets
of a registry, so that only the owner may read the file.
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ..shared.errors import UserError

_MODE = 0o600

Key = tuple[str, str]
"""Repository with its registry, and digest of the blob."""


class Journal:
    """Where each upload stands; a context manager that removes the file when nothing is under way.

    Args:
        path: the file; None keeps nothing beyond this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._steps: dict[Key, tuple[str, int]] = _read(path) if path else {}
        self._file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._path and not self._steps:
            self._path.unlink(missing_ok=True)

    def recall(self, repository: str, digest: str) -> tuple[str, int] | None:
        """Location of the upload of a blob and the bytes that its registry had; None if there is none."""
        return self._steps.get((repository, digest))

    def note(self, repository: str, digest: str, location: str, offset: int) -> None:
        """The registry has `offset` bytes of a blob and wants the next ones at `location`."""
        self._steps[repository, digest] = (location, offset)
        self._append({"repository": repository, "digest": digest, "location": location, "offset": offset})

    def forget(self, repository: str, digest: str) -> None:
        """The upload has ended."""
        if self._steps.pop((repository, digest), None):
            self._append({"repository": repository, "digest": digest})

    def _append(self, step: dict[str, object]) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._file = _open(self._path)
        os.write(self._file, json.dumps(step).encode() + b"\n")


def _open(path: Path) -> int:
    """The file, for more lines: nobody else may read it, and the last line may be torn.

    Raises:
        UserError: it cannot be written.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)
        os.fchmod(file, _MODE)
        os.write(file, b"\n")
    except OSError as error:
        raise UserError(f"the journal {path} cannot be written: {error.strerror}") from None
    return file


def _read(path: Path) -> dict[Key, tuple[str, int]]:
    """What a file says; a torn line, or one of another shape, is as if it were not there.

    Raises:
        UserError: it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"the journal {path} cannot be read: {error.strerror}") from None
    steps: dict[Key, tuple[str, int]] = {}
    for line in lines:
        try:
            step = json.loads(line)
            key = str(step["repository"]), str(step["digest"])
            if "location" in step:
                steps[key] = str(step["location"]), int(step["offset"])
            else:
                steps.pop(key, None)
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            continue
    return steps
