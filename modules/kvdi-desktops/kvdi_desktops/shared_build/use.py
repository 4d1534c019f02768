"""What a deployment that publishes images uses, on record before it is used."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..shared.account import Account
from ..shared.metadata_bucket import bucket_name, ensure_bucket
from ..shared.settings import SeedFarmerSettings
from ..shared.usage import UsageRecords
from . import base

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def record_use(
    s3: "S3Client",
    account: Account,
    seedfarmer: SeedFarmerSettings,
    repositories: Iterable[str],
    references: Iterable[str],
) -> None:
    """Record that a deployment uses its repositories, and the private ones that its next build needs.

    Args:
        s3: where the project's metadata bucket is; it is made when it is not there.
        account: whose registry it is.
        seedfarmer: which deployment.
        repositories: that it publishes to.
        references: of images that it builds on; those of other registries do not count.
    """
    bucket = bucket_name(seedfarmer.project_name, account)
    ensure_bucket(s3, bucket, account, seedfarmer.project_name)
    found = (base.repository_in(account.ecr_host, reference) for reference in references)
    used = {*repositories, *(name for name in found if name)}
    UsageRecords(s3, bucket).record(seedfarmer.deployment_name, seedfarmer.module_name, used)
