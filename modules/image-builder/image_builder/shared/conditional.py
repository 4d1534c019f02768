"""Objects in S3 that several runs change: a write succeeds only on what its writer has read.

The conditions are `If-None-Match: *` and `If-Match: <ETag>` (Amazon S3 user guide, Conditional requests).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What S3 answers when the condition does not hold, when the object is gone, and when another request
# to the same key is under way (Amazon S3 user guide, Conditional writes behavior).
_REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


@dataclass(frozen=True)
class Stored:
    """An object as it was read.

    Attributes:
        body: its content.
        version: its ETag.
    """

    body: bytes
    version: str


def get(client: "S3Client", bucket: str, key: str) -> Stored | None:
    """The object, None when there is none, or not even its bucket."""
    try:
        found = client.get_object(Bucket=bucket, Key=key)
    except (client.exceptions.NoSuchKey, client.exceptions.NoSuchBucket):
        return None
    return Stored(found["Body"].read(), found["ETag"])


def put(client: "S3Client", bucket: str, key: str, body: bytes) -> str:
    """Write JSON whatever is there; the new version."""
    return client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")["ETag"]


def put_if_absent(client: "S3Client", bucket: str, key: str, body: bytes) -> str | None:
    """Write JSON unless something is there; the new version, None when something is.

    No two bodies may be equal: that is how a write whose answer got lost is recognised.
    """
    try:
        return client.put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
        )["ETag"]
    except ClientError as error:
        return _if_written_after_all(client, bucket, key, body, error)


def put_if_unchanged(client: "S3Client", bucket: str, key: str, body: bytes, version: str) -> str | None:
    """Write JSON over this version; the new version, None when there is another one or none.

    No two bodies may be equal, as in `put_if_absent`.
    """
    try:
        return client.put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfMatch=version
        )["ETag"]
    except ClientError as error:
        return _if_written_after_all(client, bucket, key, body, error)


def delete_if_unchanged(client: "S3Client", bucket: str, key: str, version: str) -> bool:
    """Delete this version; whether it was there."""
    try:
        client.delete_object(Bucket=bucket, Key=key, IfMatch=version)
    except ClientError as error:
        _raise_unless_refused(error)
        return False
    return True


def _if_written_after_all(
    client: "S3Client", bucket: str, key: str, body: bytes, error: ClientError
) -> str | None:
    _raise_unless_refused(error)
    found = get(client, bucket, key)
    return found.version if found and found.body == body else None


def _raise_unless_refused(error: ClientError) -> None:
    if error.response.get("Error", {}).get("Code", "") not in _REFUSED:
        raise error
