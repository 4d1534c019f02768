"""The end of a module that publishes images: what was used is released and, when asked to, deleted.

Deleted is only what no other deployment of the project uses.
"""

from functools import partial
from typing import TYPE_CHECKING

from .account import Account
from .ecr import delete_repository, owned_repositories
from .metadata_bucket import bucket_name, delete_bucket, exists, is_owned, object_keys
from .ownership import Owner
from .settings import SeedFarmerSettings
from .usage import UsageRecords

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client


def release(
    session: "boto3.Session", seedfarmer: SeedFarmerSettings, owner: Owner, retention_type: str
) -> None:
    """Release what this deployment uses; `retention_type` decides what becomes of it.

    Args:
        session: of the account and region.
        seedfarmer: the deployment.
        owner: whose repositories go when nobody uses them.
        retention_type: `RETAIN` or `DESTROY`.
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
    _delete_unused_repositories(session.client("ecr"), owner, records)
    _delete_bucket_if_unused(s3, bucket, owner.project)


def _delete_unused_repositories(client: "ECRClient", owner: Owner, records: UsageRecords) -> None:
    # No prefix: the manifest names the repositories, so they can have any name.
    owned = list(owned_repositories(client, owner, prefix=""))
    spared = records.delete_unused({name: partial(delete_repository, client, name) for name in owned})
    for name in owned:
        if name in spared:
            print(f"kept: repository {name}, another deployment uses it")
        else:
            print(f"deleted: repository {name}")


def _delete_bucket_if_unused(client: "S3Client", bucket: str, project: str) -> None:
    empty = next(object_keys(client, bucket), None) is None
    if empty and is_owned(client, bucket, project) and delete_bucket(client, bucket):
        print(f"deleted: bucket {bucket}")
    else:
        print(f"kept: bucket {bucket}, it holds records or inventories of others or was not made by us")
