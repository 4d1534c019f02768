"""The AWS account, region and partition that a run works in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Account:
    """Where resources are made."""

    account_id: str
    region: str
    partition: str
    dns_suffix: str

    @classmethod
    def current(cls, session: "boto3.Session") -> "Account":
        """The account of the session's credentials.

        Raises:
            UserError: no region is configured.
        """
        region = session.region_name
        if not region:
            raise UserError("no AWS region is configured: set AWS_DEFAULT_REGION")
        identity = session.client("sts").get_caller_identity()
        return cls.named(session, identity["Account"], region)

    @classmethod
    def named(cls, session: "boto3.Session", account_id: str, region: str) -> "Account":
        """An account that is known already; asks AWS nothing."""
        partition = session.get_partition_for_region(region)
        return cls(account_id, region, partition, _dns_suffix(partition))

    @property
    def ecr_host(self) -> str:
        """Host of the account's private registry (Amazon ECR user guide, Private registry)."""
        return f"{self.account_id}.dkr.ecr.{self.region}.{self.dns_suffix}"


def _dns_suffix(partition: str) -> str:
    """Suffix of a partition's host names, from botocore's own data; ECR's names follow it."""
    from botocore.loaders import create_loader

    partitions = create_loader().load_data("partitions")["partitions"]
    return str(next(entry["outputs"]["dnsSuffix"] for entry in partitions if entry["id"] == partition))
