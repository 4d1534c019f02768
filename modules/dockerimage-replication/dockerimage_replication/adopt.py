"""The `adopt` command: take over repositories that the known IDF module made without tags.

They are taken over by the exact names that its inventory has, never by prefix.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .aws import Aws
from .charts.oci import SCHEME
from .consent import Consent
from .names import split_reference
from .repository_state import RepositoryState
from .settings import OWNER_MODULE
from .shared import conditional, ecr
from .shared.errors import UserError
from .shared.metadata_bucket import bucket_name, exists
from .shared.ownership import OWNER_TAG, PROJECT_TAG, Owner
from .shared.usage import UsageRecords

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_S3 = "s3://"


@dataclass(frozen=True)
class Candidate:
    """A repository that the inventory names and that exists, as `--json` prints it.

    Attributes:
        repository: its name.
        action: `adopt`, `owned` (it is ours already) or `refuse`.
        reason: why it is refused; empty otherwise.
        used: whether a deployment has it on record.
    """

    repository: str
    action: Literal["adopt", "owned", "refuse"]
    reason: str
    used: bool

    def __str__(self) -> str:
        if self.action == "refuse":
            return f"refuse {self.repository}: {self.reason}"
        if self.action == "owned":
            return f"ours already: {self.repository}"
        return f"adopt {self.repository}{'' if self.used else ' (no deployment has it on record)'}"


def adopt(project: str, inventory: str, consent: Consent) -> int:
    """Print what is taken over, ask, and tag it; the exit status is 1 when something is refused.

    Args:
        project: name of the SeedFarmer project.
        inventory: a file or `s3://bucket/key`.
        consent: whether to ask, and what to print.

    Raises:
        UserError: there is no such inventory, or it is no JSON.
    """
    aws = Aws.connect()
    adoption = _Adoption(aws, project)
    candidates = adoption.candidates(named_repositories(_read(aws.s3, inventory), aws.account.ecr_host))
    chosen = [candidate for candidate in candidates if candidate.action == "adopt"]
    if not consent.as_json:
        _say(candidates, inventory)
    wanted = bool(chosen) and not consent.dry_run
    if wanted and not consent.given():
        print("nothing was changed")
        return 1
    if wanted:
        adoption.execute({candidate.repository for candidate in chosen})
    if consent.as_json:
        entries = [asdict(candidate) for candidate in candidates]
        print(json.dumps({"repositories": entries, "done": wanted}, indent=2))
    return 1 if any(candidate.action == "refuse" for candidate in candidates) else 0


def named_repositories(content: object, ecr_host: str) -> set[str]:
    """Names after the host of the registry, of every text in the inventory that begins with that host.

    Some are parts of names, where chart values have registry and repository apart: whether there is
    a repository of exactly that name is looked up.
    """
    prefix = f"{ecr_host}/"
    texts = (text.removeprefix(SCHEME) for text in _texts(content))
    return {split_reference(text)[0].removeprefix(prefix) for text in texts if text.startswith(prefix)}


class _Adoption:
    """Finds and tags repositories."""

    def __init__(self, aws: Aws, project: str) -> None:
        self._aws = aws
        self._owner = Owner(project, OWNER_MODULE)
        self._bucket = bucket_name(project, aws.account)
        self._has_bucket = exists(aws.s3, self._bucket)

    def candidates(self, names: set[str]) -> list[Candidate]:
        """Those of the names that are repositories here."""
        used = UsageRecords(self._aws.s3, self._bucket).in_use() if self._has_bucket else set()
        found = {
            repository["repositoryName"]: repository["repositoryArn"]
            for repository in ecr.repositories(self._aws.ecr)
            if repository["repositoryName"] in names
        }
        return [self._candidate(name, found[name], used=name in used) for name in sorted(found)]

    def execute(self, names: set[str]) -> None:
        """Tag repositories as ours; the next run of the module brings their settings up to date."""
        for repository in list(ecr.repositories(self._aws.ecr)):
            if repository["repositoryName"] in names:
                arn = repository["repositoryArn"]
                self._aws.ecr.tag_resource(resourceArn=arn, tags=self._owner.tags())
        if self._has_bucket:
            RepositoryState(self._aws.s3, self._bucket).forget(names)

    def _candidate(self, name: str, arn: str, *, used: bool) -> Candidate:
        tags = self._aws.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        if self._owner.owns(tags):
            return Candidate(name, "owned", "", used)
        reason = self._objection(name, {tag["Key"]: tag["Value"] for tag in tags})
        return Candidate(name, "refuse" if reason else "adopt", reason, used)

    def _objection(self, name: str, tags: Mapping[str, str]) -> str:
        owners = [f"{key}={tags[key]}" for key in (PROJECT_TAG, OWNER_TAG) if key in tags]
        if owners:
            return f"it has an owner: {', '.join(owners)}"
        if not name.startswith(f"{self._owner.project}-"):
            return f"a repository of this project begins with `{self._owner.project}-`"
        return ""


def _read(client: "S3Client", inventory: str) -> object:
    content = _object(client, inventory) if inventory.startswith(_S3) else _file(Path(inventory))
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"the inventory {inventory} is not JSON") from None


def _object(client: "S3Client", address: str) -> bytes:
    bucket, _, key = address.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise UserError(f"`{address}` is not an S3 address of the form s3://bucket/key")
    found = conditional.get(client, bucket, key)
    if found is None:
        raise UserError(f"the inventory {address} does not exist")
    return found.body


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"the inventory {path} cannot be read: {error.strerror}") from None


def _texts(content: object) -> Iterator[str]:
    """Every text in a JSON value, without recursion: its depth is not ours to say."""
    rest = [content]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            rest += item.values()
        elif isinstance(item, list):
            rest += item


def _say(candidates: Iterable[Candidate], inventory: str) -> None:
    lines = [str(candidate) for candidate in candidates]
    print("\n".join(lines) or f"{inventory} names no repository of this account and region", flush=True)
