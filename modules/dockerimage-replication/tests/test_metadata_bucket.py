"""The project's metadata bucket."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from dockerimage_replication.aws import Aws
from dockerimage_replication.shared import metadata_bucket
from dockerimage_replication.shared.account import Account
from dockerimage_replication.shared.metadata_bucket import (
    CONFLICT_PAUSES,
    MAX_BUCKET_NAME,
    bucket_name,
    bucket_owner,
    delete_bucket,
    ensure_bucket,
    exists,
    is_owned,
)
from replication_support import ACCOUNT, BUCKET


def test_the_bucket_is_private_encrypted_versioned_and_wants_tls(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")

    block = aws.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    rule = aws.s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    (statement,) = json.loads(aws.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert all(block.values())
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert aws.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_making_it_twice_is_fine(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")

    assert is_owned(aws.s3, BUCKET, "idf")
    assert not is_owned(aws.s3, BUCKET, "idf-other")


def test_tags_of_others_stay(aws: Aws) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)
    aws.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})

    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")

    tags = aws.s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    assert {"Key": "team", "Value": "a"} in tags
    assert bucket_owner("idf").owns(tags)


class Conflicts:
    """S3 as it answers while another deployment changes the bucket (S3 API, Error responses)."""

    def __init__(self, aws: Aws, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses: list[float] = []
        self._left = times
        self._make = aws.s3.put_bucket_versioning
        monkeypatch.setattr(aws.s3, "put_bucket_versioning", self._put)
        monkeypatch.setattr(metadata_bucket.time, "sleep", self.pauses.append)

    def _put(self, **arguments: object) -> object:
        if self._left:
            self._left -= 1
            raise ClientError({"Error": {"Code": "OperationAborted"}}, "PutBucketVersioning")
        return self._make(**arguments)  # type: ignore[arg-type]


def test_two_deployments_that_make_it_at_once_both_succeed(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    conflicts = Conflicts(aws, 2, monkeypatch)
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    assert aws.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert conflicts.pauses == list(CONFLICT_PAUSES[:2])


def test_a_conflict_that_does_not_end_is_an_error(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    Conflicts(aws, 100, monkeypatch)
    with pytest.raises(ClientError, match="OperationAborted"):
        ensure_bucket(aws.s3, BUCKET, aws.account, "idf")


def test_an_empty_bucket_goes_with_its_old_versions(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    aws.s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    aws.s3.put_object(Bucket=BUCKET, Key="k", Body=b"2")
    aws.s3.delete_object(Bucket=BUCKET, Key="k")
    assert delete_bucket(aws.s3, BUCKET)
    assert not exists(aws.s3, BUCKET)


def test_a_bucket_that_somebody_has_begun_to_use_stays(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    aws.s3.put_object(Bucket=BUCKET, Key="usage/other/m.json", Body=b"{}")
    assert not delete_bucket(aws.s3, BUCKET)
    assert aws.s3.get_object(Bucket=BUCKET, Key="usage/other/m.json")["Body"].read() == b"{}"


def test_an_object_written_while_the_bucket_is_deleted_stays(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, "idf")
    listed = metadata_bucket._versions

    def and_then_another_writes(client: object, name: str) -> Iterator[tuple[str, str, bool]]:
        yield from listed(aws.s3, name)
        aws.s3.put_object(Bucket=BUCKET, Key="usage/other/m.json", Body=b"{}")

    monkeypatch.setattr(metadata_bucket, "_versions", and_then_another_writes)
    assert not delete_bucket(aws.s3, BUCKET)
    assert aws.s3.get_object(Bucket=BUCKET, Key="usage/other/m.json")["Body"].read() == b"{}"


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2", "us-gov-west-1"])
def test_a_long_project_is_cut_and_stays_unique(region: str) -> None:
    account = Account(ACCOUNT, region, "aws", "amazonaws.com")

    one, other = (bucket_name("p" * 30 + end, account) for end in "ab")

    assert len(one) <= MAX_BUCKET_NAME
    assert one != other
    assert bucket_name("idf", account) == f"idf-dkr-img-rep-md-{region}-{ACCOUNT}"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"),
        ("cn-north-1", f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", f"{ACCOUNT}.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_registry_is_named_after_its_partition(
    region: str, host: str, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)

    assert Aws.connect().account.ecr_host == host
