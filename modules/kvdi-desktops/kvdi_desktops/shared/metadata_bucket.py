"""The project's metadata bucket: inventories, and which deployment uses what.

It belongs to the project and is shared by its deployments, so code ensures it and no stack owns it.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from .account import Account
from .errors import UserError
from .ownership import Owner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        PublicAccessBlockConfigurationTypeDef,
        ServerSideEncryptionConfigurationTypeDef,
        TagTypeDef,
    )

MAX_BUCKET_NAME = 63  # characters (Amazon S3 user guide, General purpose bucket naming rules)
HASH_LENGTH = 8
COLLECTION = "airgap-modules"
CONFLICT_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds
PRIVATE: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTED: "ServerSideEncryptionConfigurationTypeDef" = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
}


def bucket_name(project: str, account: Account) -> str:
    """`{project}-dkr-img-rep-md-{region}-{account}`; a project too long for it is cut and hashed."""
    suffix = f"-dkr-img-rep-md-{account.region}-{account.account_id}"
    room = MAX_BUCKET_NAME - len(suffix)
    if len(project) > room:
        digest = hashlib.sha256(project.encode()).hexdigest()[:HASH_LENGTH]
        project = f"{project[: room - HASH_LENGTH - 1]}-{digest}"
    return f"{project}{suffix}".lower()


def bucket_owner(project: str) -> Owner:
    """Owner of the bucket: the collection as a whole, for its modules share it."""
    return Owner(project, COLLECTION)


def ensure_bucket(client: "S3Client", name: str, account: Account, project: str) -> None:
    """Make the bucket unless it is there, and (always) give it encryption, versioning and its policies.

    Raises:
        UserError: the name belongs to another account.
    """
    steps: list[Callable[[], object]] = [
        lambda: _create(client, name, account),
        lambda: _tag(client, name, bucket_owner(project)),
        lambda: client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PRIVATE),
        lambda: client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=ENCRYPTED),
        lambda: client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"}),
        lambda: client.put_bucket_policy(Bucket=name, Policy=_tls_only(name, account)),
    ]
    for step in steps:
        _unless_another_changes_it(client, step)


def exists(client: "S3Client", name: str) -> bool:
    """Whether the bucket is there."""
    try:
        client.head_bucket(Bucket=name)
    except client.exceptions.ClientError as error:
        if _code(error) in ("404", "NoSuchBucket"):
            return False
        raise
    return True


def is_owned(client: "S3Client", name: str, project: str) -> bool:
    """Whether the bucket carries the tags of the project."""
    return bucket_owner(project).owns(_tags(client, name))


def object_keys(client: "S3Client", name: str) -> Iterator[str]:
    """Keys of the bucket's current objects (old versions do not count); none when it is gone."""
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            yield from (item["Key"] for item in page.get("Contents", []))
    except client.exceptions.NoSuchBucket:
        return


def delete_bucket(client: "S3Client", name: str) -> bool:
    """Delete a bucket whose current objects are gone, with the old versions that it keeps.

    Returns:
        False when another deployment has written an object meanwhile: it and the bucket stay; or when
        another clean-up has deleted it.
    """
    try:
        versions = list(_versions(client, name))
        if any(is_current for _key, _version, is_current in versions):
            return False
        for key, version, _is_current in versions:
            client.delete_object(Bucket=name, Key=key, VersionId=version)
        client.delete_bucket(Bucket=name)
    except client.exceptions.ClientError as error:
        if _code(error) in ("BucketNotEmpty", "NoSuchBucket"):
            return False
        raise
    return True


def _create(client: "S3Client", name: str, account: Account) -> None:
    try:
        if account.region == "us-east-1":  # the one region that must not be named (S3 API, CreateBucket)
            client.create_bucket(Bucket=name)
        else:
            client.create_bucket(
                Bucket=name,
                CreateBucketConfiguration={"LocationConstraint": account.region},  # type: ignore[typeddict-item]
            )
    except client.exceptions.BucketAlreadyOwnedByYou:
        return
    except client.exceptions.BucketAlreadyExists:
        raise UserError(f"the bucket name `{name}` belongs to another AWS account") from None


def _tags(client: "S3Client", name: str) -> "list[TagTypeDef]":
    try:
        return client.get_bucket_tagging(Bucket=name)["TagSet"]
    except client.exceptions.ClientError as error:
        if _code(error) in ("NoSuchTagSet", "NoSuchBucket"):
            return []
        raise


def _tag(client: "S3Client", name: str, owner: Owner) -> None:
    """Add the owner's tags to those that others gave the bucket."""
    own = {tag["Key"] for tag in owner.tags()}
    others = [tag for tag in _tags(client, name) if tag["Key"] not in own]
    client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [*others, *owner.tags()]})


def _tls_only(name: str, account: Account) -> str:
    arn = f"arn:{account.partition}:s3:::{name}"
    statement = {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _versions(client: "S3Client", name: str) -> Iterator[tuple[str, str, bool]]:
    """Key, version and whether it is an object's current content, of everything that the bucket keeps."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in page.get("Versions", []):
            yield version["Key"], version["VersionId"], version["IsLatest"]
        for marker in page.get("DeleteMarkers", []):
            yield marker["Key"], marker["VersionId"], False


def _unless_another_changes_it(client: "S3Client", step: Callable[[], object]) -> None:
    """Run a step again while S3 refuses it because another deployment changes the bucket right now."""
    for seconds in CONFLICT_PAUSES:
        try:
            step()
        except client.exceptions.ClientError as error:
            if _code(error) != "OperationAborted":
                raise
            time.sleep(seconds)
        else:
            return
    step()


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
