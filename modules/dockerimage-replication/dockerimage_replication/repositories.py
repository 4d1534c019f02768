"""The repositories of a run: on record as used, there, and set up as the parameters say."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from .aws import CONCURRENT_CALLS, Aws
from .progress import Progress
from .repository_settings import MOVABLE_TAGS, RepositorySettings
from .repository_state import Entry, RepositoryState
from .settings import OWNER_MODULE
from .shared import ecr
from .shared.errors import UserError
from .shared.metadata_bucket import bucket_name, ensure_bucket
from .shared.ownership import Owner
from .shared.settings import SeedFarmerSettings
from .shared.usage import UsageRecords

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

_BUCKET_TRIES = 3  # when the last other deployment is destroyed meanwhile, and takes the bucket with it


@dataclass(frozen=True)
class Claim:
    """What `Repositories.claim` has done.

    Attributes:
        run: what `settle` wants to be told.
        made: names of the repositories that were not there.
    """

    run: str
    made: frozenset[str]


class Repositories:
    """The repositories that one deployment uses.

    Args:
        aws: the account.
        seedfarmer: which deployment this is.
        settings: what its repositories should be like.
        progress: where to say what was done.
    """

    def __init__(
        self, aws: Aws, seedfarmer: SeedFarmerSettings, settings: RepositorySettings, progress: Progress
    ) -> None:
        self._aws = aws
        self._settings = settings
        self._progress = progress
        self._owner = Owner(seedfarmer.project_name, OWNER_MODULE)
        self._deployment = (seedfarmer.deployment_name, seedfarmer.module_name)
        self._bucket = bucket_name(seedfarmer.project_name, aws.account)
        self._usage = UsageRecords(aws.s3, self._bucket)
        self._state = RepositoryState(aws.s3, self._bucket)

    def claim(self, wanted: set[str], by_digest: set[str]) -> Claim:
        """Record the use of repositories, then have them there: what is in use is on record before it exists.

        Those of others are used as they are.

        Args:
            wanted: names of all repositories of the run.
            by_digest: those with an image that is pulled by digest.

        Raises:
            UserError: a clean-up of the project deletes one of them, and does not end.
        """
        run = self._record(wanted)
        there = {found["repositoryName"]: found for found in ecr.repositories(self._aws.ecr)}
        entries = self._state.entries()
        changed = self._set_up(there, self._outdated(wanted, by_digest, there, entries))
        if changed:
            self._state.update(changed)
        made = frozenset(wanted - there.keys())
        updated = len(changed) - len(made)
        self._progress.say(
            f"{len(wanted)} repositories, {len(made)} of them new, {updated} brought up to date"
        )
        self._say_encryption(there[name] for name in sorted(wanted & there.keys()))
        return Claim(run, made)

    def confirm(self, wanted: set[str]) -> None:
        """Make sure before the inventory is uploaded that nobody has released what it names.

        Raises:
            UserError: somebody has.
        """
        self._usage.confirm(*self._deployment, wanted)

    def settle(self, wanted: set[str], run: str) -> None:
        """Record at the end of a run that nothing else is used any more.

        Raises:
            UserError: the deployment was released meanwhile.
        """
        self._usage.settle(*self._deployment, wanted, run)

    def _record(self, wanted: set[str]) -> str:
        for _ in range(_BUCKET_TRIES):
            try:
                ensure_bucket(self._aws.s3, self._bucket, self._aws.account, self._owner.project)
                return self._usage.begin(*self._deployment, wanted)
            except self._aws.s3.exceptions.NoSuchBucket:
                continue
        raise UserError(f"somebody deletes the bucket {self._bucket} all the time: run again later")

    def _outdated(
        self,
        wanted: set[str],
        by_digest: set[str],
        there: "Mapping[str, RepositoryTypeDef]",
        entries: Mapping[str, Entry],
    ) -> dict[str, bool]:
        """Repositories that are not known to be as they should: name -> whether pulled from by digest."""
        outdated = {}
        for name in sorted(wanted):
            found = there.get(name)
            entry = entries.get(name)
            if found is None or entry is None or entry.created != _created(found):
                outdated[name] = name in by_digest
                continue
            digest = name in by_digest or entry.by_digest
            same = entry.fingerprint == self._settings.fingerprint(by_digest=digest)
            if not same or (entry.owned and not self._has_mutability(found)):
                outdated[name] = digest
        return outdated

    def _set_up(
        self, there: "Mapping[str, RepositoryTypeDef]", outdated: Mapping[str, bool]
    ) -> dict[str, Entry]:
        def one(name: str) -> Entry:
            return self._one(name, there.get(name), by_digest=outdated[name])

        with ThreadPoolExecutor(CONCURRENT_CALLS) as pool:
            return dict(zip(outdated, pool.map(one, outdated), strict=True))

    def _one(self, name: str, found: "RepositoryTypeDef | None", *, by_digest: bool) -> Entry:
        """Make a repository, or bring it to the settings if it is ours."""
        made = None
        if found is None:
            made = ecr.create_repository(self._aws.ecr, name, self._owner, self._settings.kms_key)
            found = made or self._described(name)  # another deployment was quicker
        owned = made is not None or self._is_ours(found)
        if owned:
            self._apply(found, is_new=made is not None, by_digest=by_digest)
        fingerprint = self._settings.fingerprint(by_digest=by_digest)
        return Entry(_created(found), owned, by_digest, fingerprint)

    def _described(self, name: str) -> "RepositoryTypeDef":
        return self._aws.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]

    def _is_ours(self, repository: "RepositoryTypeDef") -> bool:
        arn = repository["repositoryArn"]
        return self._owner.owns(self._aws.ecr.list_tags_for_resource(resourceArn=arn)["tags"])

    def _apply(self, repository: "RepositoryTypeDef", *, is_new: bool, by_digest: bool) -> None:
        name = repository["repositoryName"]
        if not self._has_mutability(repository):
            self._apply_mutability(name)
        if not repository["imageScanningConfiguration"].get("scanOnPush"):
            self._aws.ecr.put_image_scanning_configuration(
                repositoryName=name, imageScanningConfiguration={"scanOnPush": True}
            )
        self._apply_lifecycle(name, is_new=is_new, by_digest=by_digest)
        self._apply_policy(name, is_new=is_new)

    def _apply_mutability(self, name: str) -> None:
        if self._settings.immutable:
            self._aws.ecr.put_image_tag_mutability(
                repositoryName=name,
                imageTagMutability=self._settings.mutability,
                imageTagMutabilityExclusionFilters=MOVABLE_TAGS,
            )
        else:
            self._aws.ecr.put_image_tag_mutability(
                repositoryName=name, imageTagMutability=self._settings.mutability
            )

    def _has_mutability(self, repository: "RepositoryTypeDef") -> bool:
        return repository["imageTagMutability"] == self._settings.mutability

    def _apply_lifecycle(self, name: str, *, is_new: bool, by_digest: bool) -> None:
        text = self._settings.lifecycle(by_digest=by_digest)
        if text:
            self._aws.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
        elif not is_new:
            try:
                self._aws.ecr.delete_lifecycle_policy(repositoryName=name)
            except self._aws.ecr.exceptions.LifecyclePolicyNotFoundException:
                return

    def _apply_policy(self, name: str, *, is_new: bool) -> None:
        current = None if is_new else self._policy(name)
        wanted = self._settings.policy(current)
        if wanted == current:
            return
        if wanted is None:
            self._aws.ecr.delete_repository_policy(repositoryName=name)
        else:
            self._aws.ecr.set_repository_policy(repositoryName=name, policyText=json.dumps(wanted))

    def _policy(self, name: str) -> dict[str, Any] | None:
        try:
            text = self._aws.ecr.get_repository_policy(repositoryName=name)["policyText"]
        except self._aws.ecr.exceptions.RepositoryPolicyNotFoundException:
            return None
        policy: dict[str, Any] = json.loads(text)
        return policy

    def _say_encryption(self, there: "Iterable[RepositoryTypeDef]") -> None:
        key = self._settings.kms_key
        if key is None:
            return
        others = [
            found["repositoryName"]
            for found in there
            if found["encryptionConfiguration"].get("kmsKey") != key
        ]
        if others:
            self._progress.say(
                "not encrypted with the key of `repository-kms-key`, because they were made before: "
                f"{', '.join(others)}; ECR cannot change that: delete them, and the next run makes them anew"
            )


def _created(repository: "RepositoryTypeDef") -> str:
    return repository["createdAt"].astimezone(UTC).isoformat()
