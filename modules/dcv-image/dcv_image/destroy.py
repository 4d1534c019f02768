"""`destroy`: forget what this deployment used and, when asked to, delete what nobody uses any more."""

from functools import partial
from typing import TYPE_CHECKING

import boto3

from .owner import image_owner
from .settings import Parameters
from .shared.account import Account
from .shared.ecr import delete_repository, owned_repositories
from .shared.metadata_bucket import bucket_name, delete_bucket, exists, is_owned, object_keys
from .shared.settings import load
from .shared.usage import UsageRecords

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client


def destroy() -> int:
    """Release what this deployment uses; `retention-type` decides what becomes of it."""
    seedfarmer, parameters = load(Parameters)
    session = boto3.Session()
    account = Account.current(session)
    s3 = session.client("s3")
    bucket = bucket_name(seedfarmer.project_name, account)
    if not exists(s3, bucket):
        # Without records nobody knows what others use, so nothing is deleted.
        print(f"no usage is recorded (there is no bucket {bucket}): nothing to release")
        return 0
    records = UsageRecords(s3, bucket)
    records.release(seedfarmer.deployment_name, seedfarmer.module_name)
    if parameters.retention_type == "RETAIN":
        print("released; repositories and images are kept (`retention-type` is RETAIN)")
        return 0
    _delete_unused_repositories(session.client("ecr"), seedfarmer.project_name, records)
    _delete_bucket_if_unused(s3, bucket, seedfarmer.project_name)
    return 0


def _delete_unused_repositories(client: "ECRClient", project: str, records: UsageRecords) -> None:
    # No prefix: the manifest names the repository, so it can have any name.
    owned = list(owned_repositories(client, image_owner(project), prefix=""))
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
