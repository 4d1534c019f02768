"""The AWS side of a run: the account and the clients."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from .shared.account import Account

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

CONCURRENT_CALLS = 8
# Repositories are made in bursts, which ECR throttles.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=CONCURRENT_CALLS)


@dataclass(frozen=True)
class Aws:
    """An account and clients for it; they are safe to share between threads."""

    account: Account
    s3: "S3Client"
    ecr: "ECRClient"
    secrets: "SecretsManagerClient"

    @classmethod
    def connect(cls, region: str | None = None) -> "Aws":
        """The account of the current credentials, in the configured region if none is given.

        Raises:
            UserError: no region is configured.
        """
        session = boto3.Session(region_name=region)
        return cls(
            Account.current(session),
            session.client("s3", config=_CONFIG),
            session.client("ecr", config=_CONFIG),
            session.client("secretsmanager", config=_CONFIG),
        )
