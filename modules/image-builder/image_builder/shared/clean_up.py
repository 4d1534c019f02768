"""A clean-up of a project under way: it says in the metadata bucket what it deletes.

`usage.py` says why. One clean-up of a project runs at a time. One that breaks off leaves its
announcement behind, which counts until it is as old as no request to AWS can be.
"""

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import conditional
from .errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "usage/clean-up.json"  # beside the records, which every module may read and write
# A clean-up looks at the records again before it deletes on an older announcement than this. One
# call of boto3 with ten tries of 60 seconds each ends within 15 minutes, so that after LIFETIME
# nothing that was announced can still be deleted.
FRESH = 60.0  # seconds
LIFETIME = timedelta(minutes=30)
PAUSE = 2.0  # seconds between two looks at another's clean-up
PATIENCE = 90  # looks


class CleanUps:
    """The clean-ups of a project."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def announce(self, repositories: Iterable[str]) -> "Announcement":
        """Say that these repositories, or their images, are deleted now.

        Raises:
            UserError: another clean-up does not end.
        """
        wanted = sorted(repositories)
        for _ in range(PATIENCE):
            begun = time.monotonic()
            body = _body(wanted)
            found = conditional.get(self._client, self._bucket, KEY)
            if found is None:
                version = conditional.put_if_absent(self._client, self._bucket, KEY, body)
            elif _Content.of(found).is_over:
                version = conditional.put_if_unchanged(self._client, self._bucket, KEY, body, found.version)
            else:
                version = None
            if version:
                return Announcement(self._client, self._bucket, wanted, version, begun)
            time.sleep(PAUSE)
        raise self._stuck("another clean-up of this project is under way")

    def wait(self, repositories: set[str]) -> None:
        """Return when no clean-up deletes any of these.

        Raises:
            UserError: one does, and it does not end.
        """
        for _ in range(PATIENCE):
            found = conditional.get(self._client, self._bucket, KEY)
            if found is None:
                return
            content = _Content.of(found)
            if content.is_over or not content.repositories & repositories:
                return
            time.sleep(PAUSE)
        raise self._stuck("a clean-up of this project deletes repositories that are needed here")

    def _stuck(self, what: str) -> UserError:
        minutes = int(LIFETIME.total_seconds() / 60)
        return UserError(
            f"{what} (s3://{self._bucket}/{KEY}): run this again when it has ended; "
            f"one that broke off counts as ended after {minutes} minutes"
        )


class Announcement:
    """What a clean-up has announced."""

    def __init__(
        self, client: "S3Client", bucket: str, repositories: list[str], version: str, written: float
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._repositories = repositories
        self._version = version
        self._written = written

    def renewed(self) -> bool:
        """Whether it had grown old and is fresh again; the records then have to be read again.

        Raises:
            UserError: another clean-up has taken this one for one that broke off.
        """
        if time.monotonic() - self._written < FRESH:
            return False
        begun = time.monotonic()
        version = conditional.put_if_unchanged(
            self._client, self._bucket, KEY, _body(self._repositories), self._version
        )
        if version is None:
            raise UserError(
                "another clean-up of this project has taken over: run this again when it has ended"
            )
        self._version, self._written = version, begun
        return True

    def end(self) -> None:
        """Nothing is deleted any more."""
        conditional.delete_if_unchanged(self._client, self._bucket, KEY, self._version)


@dataclass(frozen=True)
class _Content:
    repositories: frozenset[str]
    begun: datetime

    @classmethod
    def of(cls, found: conditional.Stored) -> "_Content":
        value = json.loads(found.body)
        return cls(frozenset(value["repositories"]), datetime.fromisoformat(value["begun"]))

    @property
    def is_over(self) -> bool:
        return datetime.now(UTC) - self.begun > LIFETIME


def _body(repositories: list[str]) -> bytes:
    """An announcement. No two are equal, because S3 tells versions apart by their content."""
    value = {
        "repositories": repositories,
        "begun": datetime.now(UTC).isoformat(),
        "written": uuid.uuid4().hex,
    }
    return json.dumps(value, indent=2).encode()
