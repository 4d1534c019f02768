"""Two modules of one deployment are destroyed at once: one anywhere between two calls of the other."""

from typing import cast

import boto3
import pytest
from botocore.exceptions import ClientError
from cleanup_steps import Steps
from dockerimage_replication.aws import Aws
from dockerimage_replication.shared import clean_up, conditional, ecr
from dockerimage_replication.shared.metadata_bucket import ensure_bucket, exists
from dockerimage_replication.shared.ownership import Owner
from dockerimage_replication.shared.release import release
from dockerimage_replication.shared.settings import SeedFarmerSettings
from dockerimage_replication.shared.usage import UsageRecords
from replication_support import BUCKET

FIRST, SECOND = Owner("idf", "dcv-image"), Owner("idf", "kvdi-desktops")
CALLS = 25


def deploy(aws: Aws, owner: Owner) -> None:
    ensure_bucket(aws.s3, BUCKET, aws.account, owner.project)
    ecr.ensure_repository(aws.ecr, owner.module, owner)
    UsageRecords(aws.s3, BUCKET).record("prod", owner.module, {owner.module})


class Session:
    """Hands out the clients between whose calls others act."""

    region_name = "us-east-1"

    def __init__(self, aws: Aws) -> None:
        self._clients = {"s3": aws.s3, "ecr": aws.ecr, "sts": boto3.client("sts")}

    def get_partition_for_region(self, region: str) -> str:
        return "aws"

    def client(self, name: str) -> object:
        return self._clients[name]


def destroy(aws: Aws, owner: Owner) -> None:
    settings = SeedFarmerSettings(project_name="idf", deployment_name="prod", module_name=owner.module)
    release(cast(boto3.Session, Session(aws)), settings, owner, "DESTROY")


@pytest.fixture
def deployed(aws: Aws) -> None:
    for owner in (FIRST, SECOND):
        deploy(aws, owner)


@pytest.mark.parametrize("at", range(CALLS))
def test_both_end_well_and_nothing_is_left(
    at: int, aws: Aws, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        if conditional.get(aws.s3, BUCKET, clean_up.KEY) is None:  # else it waits: `destroy` below
            destroy(aws, SECOND)

    Steps(aws, monkeypatch).interrupt(at, other)
    destroy(aws, FIRST)
    destroy(aws, SECOND)

    assert ecr.repository_names(aws.ecr) == set()
    assert not exists(aws.s3, BUCKET)


def test_the_test_above_reaches_every_call(aws: Aws, deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(aws, monkeypatch)
    destroy(aws, FIRST)

    assert len(steps.calls) < CALLS


def test_a_repository_that_is_gone_since_the_listing_is_nobody_s(
    aws: Aws, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = aws.ecr.list_tags_for_resource

    def gone(**arguments: str) -> object:
        if arguments["resourceArn"].endswith(f"/{SECOND.module}"):
            ecr.delete_repository(aws.ecr, SECOND.module)
        return ask(**arguments)

    monkeypatch.setattr(aws.ecr, "list_tags_for_resource", gone)

    assert list(ecr.owned_repositories(aws.ecr, FIRST, "")) == [FIRST.module]


def test_another_error_of_the_bucket_is_no_race(
    aws: Aws, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**arguments: str) -> object:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(aws.s3, "put_object", denied)

    with pytest.raises(ClientError, match="AccessDenied"):
        destroy(aws, FIRST)
    assert ecr.repository_names(aws.ecr) == {FIRST.module, SECOND.module}
