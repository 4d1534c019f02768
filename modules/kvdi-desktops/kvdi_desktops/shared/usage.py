"""Which deployment uses which repository: one object per deployment and module in the metadata bucket.

A tag on the repository would be overwritten by the second deployment. The record is written before
the first use and removed on destroy; clean-up deletes what no record names any more.

Between the moment a clean-up reads the records and the moment it deletes, another deployment may
begin to use what is about to go. No delete of ECR takes a condition, so both sides announce what
they do before they look at the other (S3 reads what was written before, Amazon S3 user guide,
Data consistency model):

- a clean-up writes what it deletes (`clean_up.py`), then reads the records, and spares what they name;
- a deployment writes its record, then reads that announcement, and waits while it names what it needs;
  after that it looks whether its repositories exist.

Whichever writes first, the other one sees it.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .clean_up import KEY, CleanUps
from .conditional import delete_if_unchanged, get, put, put_if_absent, put_if_unchanged
from .errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "usage/"
RUN_LIFETIME = timedelta(days=1)  # no run lasts longer
_TRIES = 10  # at a record that other runs of the same deployment change all the time


@dataclass(frozen=True)
class Record:
    """What a deployment's module uses.

    Attributes:
        runs: those that have begun since one has settled, and when (ISO 8601); most are over.
        version: ETag of the object that says so.
    """

    deployment: str
    module: str
    repositories: frozenset[str]
    runs: Mapping[str, str] = field(hash=False)
    version: str

    def runs_within(self, age: timedelta) -> set[str]:
        """The runs that began no longer ago."""
        now = datetime.now(UTC)
        return {run for run, begun in self.runs.items() if now - datetime.fromisoformat(begun) < age}


@dataclass(frozen=True)
class UsageRecords:
    """The records of all deployments of a project."""

    client: "S3Client"
    bucket: str

    def record(self, deployment: str, module: str, repositories: set[str]) -> None:
        """Say that the deployment's module uses exactly these repositories.

        Raises:
            UserError: a clean-up that deletes one of them does not end.
        """
        put(
            self.client,
            self.bucket,
            record_key(deployment, module),
            _body(deployment, module, repositories, {}),
        )
        self._clean_ups.wait(repositories)

    def begin(self, deployment: str, module: str, repositories: set[str]) -> str:
        """Say that a run of the deployment's module uses these repositories, beside what is on record.

        Returns:
            The run, for `settle`.

        Raises:
            UserError: a clean-up that deletes one of them does not end.
        """
        run, key = uuid.uuid4().hex, record_key(deployment, module)

        def with_run(found: Record | None) -> bytes:
            before = found.repositories if found else frozenset()
            runs = {**(found.runs if found else {}), run: datetime.now(UTC).isoformat()}
            return _body(deployment, module, repositories | before, runs)

        self._change(key, with_run)
        self._clean_ups.wait(repositories)
        return run

    def settle(self, deployment: str, module: str, repositories: set[str], run: str) -> None:
        """Say at the end of a run that nothing else is used any more.

        When another run of the same deployment was under way meanwhile, nobody knows whose inventory
        remains: what both need stays on record until a run a day later settles.

        Raises:
            UserError: the deployment was released meanwhile.
        """

        def settled(found: Record | None) -> bytes | None:
            checked = _confirmed(found, deployment, module, repositories)
            alone = not checked.runs_within(RUN_LIFETIME) - {run}
            return _body(deployment, module, repositories, {}) if alone else None

        self._change(record_key(deployment, module), settled)

    def confirm(self, deployment: str, module: str, repositories: set[str]) -> None:
        """Make sure that a record still names these repositories, so that no clean-up has deleted them.

        Raises:
            UserError: it does not: the deployment was released meanwhile.
        """
        _confirmed(self._read(record_key(deployment, module)), deployment, module, repositories)

    def release(self, deployment: str, module: str) -> None:
        """Forget the deployment's module; a record that is gone already, or its bucket, is fine."""
        with suppress(self.client.exceptions.NoSuchBucket):
            self.client.delete_object(Bucket=self.bucket, Key=record_key(deployment, module))

    def withdraw(self, record: Record, repositories: frozenset[str]) -> None:
        """Take repositories out of a record as it was read; without any left it is removed.

        Raises:
            UserError: the record has changed since.
        """
        key = record_key(record.deployment, record.module)
        left = record.repositories - repositories
        if left:
            body = _body(record.deployment, record.module, left, record.runs)
            done = put_if_unchanged(self.client, self.bucket, key, body, record.version) is not None
        else:
            done = delete_if_unchanged(self.client, self.bucket, key, record.version)
        if not done and self._read(key) is not None:
            raise UserError(
                f"{record.deployment}/{record.module} has been applied meanwhile, and nothing more was "
                "deleted: run this again when that has ended"
            )

    def records(self) -> Iterator[Record]:
        """Every record of the project."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=PREFIX):
            for item in page.get("Contents", []):
                record = None if item["Key"] == KEY else self._read(item["Key"])
                if record:  # else another deployment was destroyed since the listing
                    yield record

    def all(self) -> dict[tuple[str, str], set[str]]:
        """Every record of the project: (deployment, module) -> repositories."""
        return {(record.deployment, record.module): set(record.repositories) for record in self.records()}

    def in_use(self) -> set[str]:
        """Every repository that some deployment of the project uses."""
        return set().union(*self.all().values())

    @property
    def _clean_ups(self) -> CleanUps:
        return CleanUps(self.client, self.bucket)

    def delete_unused(self, deletions: Mapping[str, Callable[[], None]]) -> list[str]:
        """Delete repositories (or what is in them) that no record names at that moment.

        Args:
            deletions: name of the repository -> what deletes it.

        Returns:
            Those that were spared, because some deployment uses them.

        Raises:
            UserError: another clean-up of the project does not end.
        """
        announced = self._clean_ups.announce(deletions)
        spared = []
        try:
            used = self.in_use()
            for name, delete in deletions.items():
                if announced.renewed():
                    used = self.in_use()
                if name in used:
                    spared.append(name)
                else:
                    delete()
        finally:
            announced.end()
        return spared

    def _change(self, key: str, change: Callable[[Record | None], bytes | None]) -> None:
        """Replace a record by what `change` makes of it; a change of another run is not overwritten."""
        for _ in range(_TRIES):
            found = self._read(key)
            body = change(found)
            if body is None:
                return
            if found:
                done = put_if_unchanged(self.client, self.bucket, key, body, found.version)
            else:
                done = put_if_absent(self.client, self.bucket, key, body)
            if done:
                return
        raise UserError(f"s3://{self.bucket}/{key} is changed by other runs all the time: run again later")

    def _read(self, key: str) -> Record | None:
        found = get(self.client, self.bucket, key)
        if found is None:
            return None
        value = json.loads(found.body)
        return Record(
            value["deployment"],
            value["module"],
            frozenset(value["repositories"]),
            value.get("runs", {}),
            found.version,
        )


def record_key(deployment: str, module: str) -> str:
    """Key of the object that holds a record."""
    return f"{PREFIX}{deployment}/{module}.json"


def _confirmed(found: Record | None, deployment: str, module: str, repositories: set[str]) -> Record:
    if found is None or not repositories <= found.repositories:
        raise UserError(
            f"what {deployment}/{module} uses was released while this run was under way, and may be gone: "
            "run it again"
        )
    return found


def _body(deployment: str, module: str, repositories: Iterable[str], runs: Mapping[str, str]) -> bytes:
    """A record. No two are equal, because S3 tells versions apart by their content."""
    body = {
        "deployment": deployment,
        "module": module,
        "repositories": sorted(repositories),
        "runs": dict(runs),
        "written": uuid.uuid4().hex,
    }
    return json.dumps(body, indent=2).encode()
