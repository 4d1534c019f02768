"""The end of a module that publishes images: what was used is released and, when asked to, deleted.

Deleted is only what no other deployment of the project uses. Modules of one deployment are destroyed at
the same time, and the last one takes the bucket with the records away: whatever another destroy has
removed meanwhile counts as removed.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from .account import Account
from .ecr import delete_repository, owned_repositories
from .errors import UserError
from .metadata_bucket import bucket_name, delete_bucket, ensure_bucket, exists, is_owned, object_keys
from .ownership import Owner
from .settings import SeedFarmerSettings
from .usage import UsageRecords

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

_TRIES = 5  # at a bucket that other clean-ups remove all the time


def release(
    session: "boto3.Session", seedfarmer: SeedFarmerSettings, owner: Owner, retention_type: str
) -> None:
    """Release what this deployment uses; `retention_type` decides what becomes of it.

    Args:
        session: of the account and region.
        seedfarmer: the deployment.
        owner: whose repositories go when nobody uses them.
        retention_type: `RETAIN` or `DESTROY`.

    Raises:
        UserError: another clean-up of the project does not end.
    """
    account = Account.current(session)
    s3 = session.client("s3")
    bucket = bucket_name(seedfarmer.project_name, account)
    if not exists(s3, bucket):
        # Without records nobody knows what others use, so nothing is deleted.
        print(f"no usage is recorded (there is no bucket {bucket}): nothing to release")
        return
    records = UsageRecords(s3, bucket)
    records.release(seedfarmer.deployment_name, seedfarmer.module_name)
    if retention_type == "RETAIN":
        print("released; repositories and images are kept (`retention-type` is RETAIN)")
        return
    ecr = session.client("ecr")
    # No prefix: the manifest names the repositories, so they can have any name.
    owned = list(owned_repositories(ecr, owner, prefix=""))
    deletions = {name: partial(delete_repository, ecr, name) for name in owned}
    spared = _delete_unused(records, deletions, lambda: ensure_bucket(s3, bucket, account, owner.project))
    for name in owned:
        if name in spared:
            print(f"kept: repository {name}, another deployment uses it")
        else:
            print(f"deleted: repository {name}")
    _delete_bucket_if_unused(s3, bucket, owner.project)


def _delete_unused(
    records: UsageRecords, deletions: Mapping[str, Callable[[], None]], ensure: Callable[[], None]
) -> list[str]:
    """As `UsageRecords.delete_unused`, though another destroy may take the bucket away.

    What is deleted here is announced there, for a deployment may begin at this moment.
    """
    for _ in range(_TRIES):
        try:
            return records.delete_unused(deletions)
        except records.client.exceptions.NoSuchBucket:
            ensure()
    raise UserError(f"the bucket {records.bucket} is deleted by others all the time: run again later")


def _delete_bucket_if_unused(client: "S3Client", bucket: str, project: str) -> None:
    empty = next(object_keys(client, bucket), None) is None
    if empty and is_owned(client, bucket, project) and delete_bucket(client, bucket):
        print(f"deleted: bucket {bucket}")
    elif exists(client, bucket):
        print(f"kept: bucket {bucket}, it holds records or inventories of others or was not made by us")
