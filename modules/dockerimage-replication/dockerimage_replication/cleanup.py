"""What goes when a deployment goes: planned first, so that a dry run prints what a real run deletes."""

from collections.abc import Iterable
from dataclasses import dataclass

from .aws import Aws
from .module_outputs import inventory_key, lock_key
from .settings import OWNER_MODULE, Parameters
from .shared import ecr
from .shared.errors import UserError
from .shared.metadata_bucket import bucket_name, delete_bucket, exists, is_owned, object_keys
from .shared.ownership import Owner
from .shared.settings import load
from .shared.usage import UsageRecords, record_key

Deployment = tuple[str, str]
"""A deployment and its module, as usage records have them."""

_DELETE_LIMIT = 100  # images of one BatchDeleteImage call (Amazon ECR API reference)


@dataclass(frozen=True)
class Plan:
    """What a clean-up changes, complete and in the order of the deletions.

    Attributes:
        bucket: the project's metadata bucket.
        records: usage records after it: what is left of each; an empty one is removed.
        emptied: repositories that lose all their images.
        repositories: repositories that are deleted with their images.
        objects: keys that are deleted from the bucket.
        delete_bucket: whether the bucket itself goes.
    """

    bucket: str
    records: tuple[tuple[Deployment, frozenset[str]], ...] = ()
    emptied: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    delete_bucket: bool = False

    def lines(self) -> list[str]:
        """The plan for people, one step a line; empty when there is nothing to do."""
        return [
            *(f"release the use by {deployment}/{module}" for (deployment, module), _ in self.records),
            *(f"delete all images in {name}" for name in self.emptied),
            *(f"delete the repository {name} with its images" for name in self.repositories),
            *(f"delete s3://{self.bucket}/{key}" for key in self.objects),
            *([f"delete the bucket {self.bucket}"] if self.delete_bucket else []),
        ]


def destroy() -> int:
    """Release what this deployment uses, and with `DESTROY` delete what nobody uses any more."""
    seedfarmer, parameters = load(Parameters)
    cleaner = Cleaner(Aws.connect(), seedfarmer.project_name)
    deployment = (seedfarmer.deployment_name, seedfarmer.module_name)
    if parameters.retention_type == "DESTROY":
        plan = cleaner.plan_removal(deployment)
    else:
        plan = cleaner.plan_release(deployment)
    for line in plan.lines() or ["nothing to do"]:
        print(line, flush=True)
    cleaner.execute(plan)
    return 0


class Cleaner:
    """Plans and carries out clean-ups of a project: only of what carries the project's own tags."""

    def __init__(self, aws: Aws, project: str) -> None:
        self._aws = aws
        self._owner = Owner(project, OWNER_MODULE)
        self._bucket = bucket_name(project, aws.account)
        self._usage = UsageRecords(aws.s3, self._bucket)
        self._bucket_exists = exists(aws.s3, self._bucket)

    def plan_release(self, deployment: Deployment) -> Plan:
        """Forget that a deployment uses anything, and keep everything."""
        released = [deployment] if deployment in self._records() else []
        return Plan(self._bucket, tuple((entry, frozenset()) for entry in released))

    def plan_removal(self, deployment: Deployment) -> Plan:
        """Forget a deployment, and delete its inventory, its lock and whatever no other deployment uses."""
        records = self._records()
        released = [deployment] if deployment in records else []
        keys = set(object_keys(self._aws.s3, self._bucket)) if self._bucket_exists else set()
        objects = {inventory_key(*deployment), lock_key(*deployment)} & keys
        left = keys - objects - {record_key(*entry) for entry in released}
        return Plan(
            self._bucket,
            tuple((entry, frozenset()) for entry in released),
            repositories=self._unused(records[entry] for entry in records if entry != deployment),
            objects=tuple(objects),
            delete_bucket=not left
            and self._bucket_exists
            and is_owned(self._aws.s3, self._bucket, self._owner.project),
        )

    def plan_repositories(self, deployment: str | None) -> Plan:
        """Delete the repositories that nobody uses, once `deployment` (all its modules) is released."""
        records, unused = self._after_release(deployment)
        return Plan(self._bucket, records, repositories=unused)

    def plan_images(self, deployment: str | None) -> Plan:
        """Delete the images in those repositories, and keep the repositories."""
        records, unused = self._after_release(deployment)
        return Plan(self._bucket, records, emptied=tuple(name for name in unused if self._digests(name)))

    def execute(self, plan: Plan) -> None:
        """Carry out a plan; what is gone already is fine."""
        for (deployment, module), repositories in plan.records:
            if repositories:
                self._usage.record(deployment, module, set(repositories))
            else:
                self._usage.release(deployment, module)
        for name in plan.emptied:
            self._delete_images(name)
        for name in plan.repositories:
            ecr.delete_repository(self._aws.ecr, name)
        for key in plan.objects:
            self._aws.s3.delete_object(Bucket=plan.bucket, Key=key)
        if plan.delete_bucket:
            delete_bucket(self._aws.s3, plan.bucket)

    def _records(self) -> dict[Deployment, set[str]]:
        return self._usage.all() if self._bucket_exists else {}

    def _owned(self) -> set[str]:
        if not self._bucket_exists:
            return set()  # without the records nobody knows what is in use
        return set(ecr.owned_repositories(self._aws.ecr, self._owner, f"{self._owner.project}-"))

    def _unused(self, records: Iterable[set[str]]) -> tuple[str, ...]:
        return tuple(sorted(self._owned().difference(*records)))

    def _after_release(
        self, deployment: str | None
    ) -> tuple[tuple[tuple[Deployment, frozenset[str]], ...], tuple[str, ...]]:
        """Changed records, and owned repositories without a user; records of other owners stay whole."""
        records, owned = self._records(), self._owned()
        changed = {
            entry: repositories - owned
            for entry, repositories in records.items()
            if entry[0] == deployment and repositories & owned
        }
        after = {**records, **changed}
        unused = owned.difference(*after.values())
        return tuple((entry, frozenset(left)) for entry, left in changed.items()), tuple(sorted(unused))

    def _digests(self, repository: str) -> list[str]:
        """Digests of all images; their tags go with them."""
        digests: set[str] = set()
        try:
            for page in self._aws.ecr.get_paginator("list_images").paginate(repositoryName=repository):
                digests.update(image["imageDigest"] for image in page["imageIds"] if "imageDigest" in image)
        except self._aws.ecr.exceptions.RepositoryNotFoundException:
            return []
        return sorted(digests)

    def _delete_images(self, repository: str) -> None:
        """Delete every image; ECR refuses one that an index refers to until the index is gone."""
        digests = self._digests(repository)
        while digests:
            reasons: set[str] = set()
            for start in range(0, len(digests), _DELETE_LIMIT):
                batch = digests[start : start + _DELETE_LIMIT]
                answer = self._aws.ecr.batch_delete_image(
                    repositoryName=repository, imageIds=[{"imageDigest": digest} for digest in batch]
                )
                reasons.update(failure.get("failureReason", "?") for failure in answer["failures"])
            left = self._digests(repository)
            if len(left) >= len(digests):
                raise UserError(f"{len(left)} images in {repository} cannot be deleted: {'; '.join(reasons)}")
            digests = left
