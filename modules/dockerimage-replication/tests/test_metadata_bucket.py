"""The project's metadata bucket."""

import json

import pytest
from dockerimage_replication.aws import Aws
from dockerimage_replication.shared.account import Account
from dockerimage_replication.shared.metadata_bucket import (
    MAX_BUCKET_NAME,
    bucket_name,
    ensure_bucket,
    is_owned,
)
from dockerimage_replication.shared.ownership import Owner
from replication_support import ACCOUNT, BUCKET

OWNER = Owner("idf", "dockerimage-replication")


def test_the_bucket_is_private_encrypted_versioned_and_wants_tls(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, OWNER)

    block = aws.s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    rule = aws.s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    (statement,) = json.loads(aws.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert all(block.values())
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert aws.s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_making_it_twice_is_fine(aws: Aws) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, OWNER)
    ensure_bucket(aws.s3, BUCKET, aws.account, OWNER)

    assert is_owned(aws.s3, BUCKET, OWNER)
    assert not is_owned(aws.s3, BUCKET, Owner("idf-other", "dockerimage-replication"))


def test_tags_of_others_stay(aws: Aws) -> None:
    aws.s3.create_bucket(Bucket=BUCKET)
    aws.s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})

    ensure_bucket(aws.s3, BUCKET, aws.account, OWNER)

    tags = aws.s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    assert {"Key": "team", "Value": "a"} in tags
    assert OWNER.owns(tags)


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
