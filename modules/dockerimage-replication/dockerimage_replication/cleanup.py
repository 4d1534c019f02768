"""What goes when a deployment goes: planned first, so that a dry run prints what a real run deletes."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial

from .aws import Aws
from .images import delete_images, digests
from .module_outputs import STATE_KEY, deployment_keys, is_inventory
from .settings import OWNER_MODULE, Parameters
from .shared import clean_up, ecr
from .shared.metadata_bucket import bucket_name, delete_bucket, exists, is_owned, object_keys
from .shared.ownership import Owner
from .shared.settings import load
from .shared.usage import Record, UsageRecords, record_key

Deployment = tuple[str, str]
"""A deployment and its module, as usage records have them."""

SPARED = "a deployment has begun to use it since the plan"


@dataclass(frozen=True)
class Step:
    """One thing that a clean-up does, as `--json` prints it.

    Attributes:
        action: `release`, `delete-images`, `delete-repository`, `delete-object` or `delete-bucket`.
        target: the deployment with its module, the repository, the s3:// address, or the bucket.
    """

    action: str
    target: str

    def __str__(self) -> str:
        return {
            "release": f"release the use by {self.target}",
            "delete-images": f"delete all images in {self.target}",
            "delete-repository": f"delete the repository {self.target} with its images",
            "delete-object": f"delete {self.target}",
            "delete-bucket": f"delete the bucket {self.target}",
        }[self.action]


@dataclass(frozen=True)
class Release:
    """Repositories that are taken out of a usage record."""

    record: Record
    repositories: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """What a clean-up changes, complete and in the order of the deletions.

    Attributes:
        bucket: the project's metadata bucket.
        releases: usage records that change; one that is empty then is removed.
        emptied: repositories that lose all their images.
        repositories: repositories that are deleted with their images.
        objects: keys that are deleted from the bucket.
        delete_bucket: whether the bucket itself goes.
    """

    bucket: str
    releases: tuple[Release, ...] = ()
    emptied: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    delete_bucket: bool = False

    def steps(self) -> list[Step]:
        """The plan for people and programs; empty when there is nothing to do."""
        return [
            *(Step("release", f"{item.record.deployment}/{item.record.module}") for item in self.releases),
            *(Step("delete-images", name) for name in self.emptied),
            *(Step("delete-repository", name) for name in self.repositories),
            *(Step("delete-object", f"s3://{self.bucket}/{key}") for key in self.objects),
            *([Step("delete-bucket", self.bucket)] if self.delete_bucket else []),
        ]


def destroy(*, as_json: bool = False) -> int:
    """Release what this deployment uses, and with `DESTROY` delete what nobody uses any more."""
    seedfarmer, parameters = load(Parameters)
    cleaner = Cleaner(Aws.connect(), seedfarmer.project_name)
    deployment = (seedfarmer.deployment_name, seedfarmer.module_name)
    if parameters.retention_type == "DESTROY":
        plan = cleaner.plan_removal(deployment)
    else:
        plan = cleaner.plan_release(deployment)
    if not as_json:
        say(plan.steps())
    spared = cleaner.execute(plan)
    if as_json:
        print(report(plan, spared, done=True))
    else:
        say_spared(spared)
    return 0


def say_spared(names: Iterable[str]) -> None:
    """Print for people what a clean-up has kept after all."""
    for name in names:
        print(f"kept {name}: {SPARED}", flush=True)


def report(plan: Plan, spared: list[str], *, done: bool) -> str:
    """What a clean-up does, or has done, as JSON."""
    steps = [asdict(step) for step in plan.steps()]
    return json.dumps({"steps": steps, "spared": spared, "done": done}, indent=2)


def say(steps: Iterable[Step]) -> None:
    """Print steps for people."""
    print("\n".join(map(str, steps)) or "nothing to do", flush=True)


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
        return Plan(self._bucket, _whole(deployment, self._records()))

    def plan_removal(self, deployment: Deployment) -> Plan:
        """Forget a deployment, and delete its inventory, its lock and whatever no other deployment uses."""
        records = self._records()
        releases = _whole(deployment, records)
        keys = set(object_keys(self._aws.s3, self._bucket)) if self._bucket_exists else set()
        objects = set(deployment_keys(*deployment)) & keys
        if not any(is_inventory(key) for key in keys - objects):
            objects |= {STATE_KEY} & keys
        left = keys - objects - {record_key(*deployment), clean_up.KEY}
        return Plan(
            self._bucket,
            releases,
            repositories=_unused(self._owned(), records, releases),
            objects=tuple(sorted(objects)),
            delete_bucket=not left
            and self._bucket_exists
            and is_owned(self._aws.s3, self._bucket, self._owner.project),
        )

    def plan_repositories(self, deployment: str | None) -> Plan:
        """Delete the repositories that nobody uses, once `deployment` (all its modules) is released."""
        releases, unused = self._after_release(deployment)
        return Plan(self._bucket, releases, repositories=unused)

    def plan_images(self, deployment: str | None) -> Plan:
        """Delete the images in those repositories, and keep the repositories."""
        releases, unused = self._after_release(deployment)
        emptied = tuple(name for name in unused if digests(self._aws.ecr, name))
        return Plan(self._bucket, releases, emptied=emptied)

    def execute(self, plan: Plan) -> list[str]:
        """Carry out a plan; what is gone already is fine.

        Returns:
            Repositories that were spared, because a deployment has begun to use them since the plan.

        Raises:
            UserError: a deployment that is released has been applied meanwhile, another clean-up of the
                project does not end, or an image cannot be deleted.
        """
        for release in plan.releases:
            self._usage.withdraw(release.record, release.repositories)
        deletions = self._deletions(plan)
        # With the bucket, the announcement of a clean-up that broke off goes too.
        spared = self._usage.delete_unused(deletions) if deletions or plan.delete_bucket else []
        for key in plan.objects:
            self._aws.s3.delete_object(Bucket=plan.bucket, Key=key)
        if plan.delete_bucket:
            delete_bucket(self._aws.s3, plan.bucket)
        return spared

    def _deletions(self, plan: Plan) -> dict[str, Callable[[], None]]:
        client = self._aws.ecr
        return {
            **{name: partial(delete_images, client, name) for name in plan.emptied},
            **{name: partial(ecr.delete_repository, client, name) for name in plan.repositories},
        }

    def _records(self) -> list[Record]:
        return list(self._usage.records()) if self._bucket_exists else []

    def _owned(self) -> set[str]:
        if not self._bucket_exists:
            return set()  # without the records nobody knows what is in use
        return set(ecr.owned_repositories(self._aws.ecr, self._owner, f"{self._owner.project}-"))

    def _after_release(self, deployment: str | None) -> tuple[tuple[Release, ...], tuple[str, ...]]:
        """What is taken from records, and owned repositories without a user; what others own stays."""
        records, owned = self._records(), self._owned()
        releases = tuple(
            Release(record, record.repositories & owned)
            for record in records
            if record.deployment == deployment and record.repositories & owned
        )
        return releases, _unused(owned, records, releases)


def _whole(deployment: Deployment, records: list[Record]) -> tuple[Release, ...]:
    """Everything that a deployment's module has on record, if it has a record."""
    own = [record for record in records if (record.deployment, record.module) == deployment]
    return tuple(Release(record, record.repositories) for record in own)


def _unused(owned: set[str], records: list[Record], releases: tuple[Release, ...]) -> tuple[str, ...]:
    """What no record names any more once the releases are done."""
    taken = {release.record: release.repositories for release in releases}
    used = (record.repositories - taken.get(record, frozenset()) for record in records)
    return tuple(sorted(owned.difference(*used)))
