"""What this module last did to each repository of a project: one object in the metadata bucket.

ECR has no call that gives tags, lifecycle and policy of many repositories at once. With this object
a run with nothing to do asks for no repository by itself. Losing it costs calls, nothing else,
except that `by_digest` is found out again by the deployments that pull so.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .module_outputs import STATE_KEY
from .shared import conditional
from .shared.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TRIES = 10


@dataclass(frozen=True)
class Entry:
    """One repository.

    Attributes:
        created: when it was made; another one of the same name is another repository.
        owned: whether it carries our tags; others are left as they are.
        by_digest: whether some deployment pulls from it by digest.
        fingerprint: of the settings that it was given.
    """

    created: str
    owned: bool
    by_digest: bool
    fingerprint: str


@dataclass(frozen=True)
class RepositoryState:
    """The entries of a project."""

    client: "S3Client"
    bucket: str

    def entries(self) -> dict[str, Entry]:
        """Name of the repository -> what was done to it."""
        return _entries(conditional.get(self.client, self.bucket, STATE_KEY))

    def update(self, changed: Mapping[str, Entry]) -> None:
        """Remember these as well."""
        self._change(lambda entries: {**entries, **changed})

    def forget(self, names: set[str]) -> None:
        """Look at these again in the next run."""
        self._change(lambda entries: {name: entry for name, entry in entries.items() if name not in names})

    def _change(self, change: Callable[[dict[str, Entry]], dict[str, Entry]]) -> None:
        for _ in range(_TRIES):
            found = conditional.get(self.client, self.bucket, STATE_KEY)
            body = _body(change(_entries(found)))
            if found:
                done = conditional.put_if_unchanged(self.client, self.bucket, STATE_KEY, body, found.version)
            else:
                done = conditional.put_if_absent(self.client, self.bucket, STATE_KEY, body)
            if done:
                return
        raise UserError(
            f"s3://{self.bucket}/{STATE_KEY} is changed by other runs all the time: run again later"
        )


def _entries(found: conditional.Stored | None) -> dict[str, Entry]:
    if found is None:
        return {}
    return {name: Entry(**value) for name, value in json.loads(found.body)["repositories"].items()}


def _body(entries: Mapping[str, Entry]) -> bytes:
    """No two are equal, because S3 tells versions apart by their content."""
    value = {
        "repositories": {name: asdict(entry) for name, entry in sorted(entries.items())},
        "written": uuid.uuid4().hex,
    }
    return json.dumps(value, indent=1).encode()
