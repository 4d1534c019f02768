"""Clients of AWS. boto3 takes a second and 40 MB to load, so that only who needs it does."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client


def ecr_client(region: str) -> "ECRClient":
    """A client of ECR in that region."""
    import boto3

    return boto3.Session().client("ecr", region_name=region)


def s3_client() -> "S3Client":
    """A client of S3 in the region of the environment."""
    import boto3

    return boto3.Session().client("s3")
