"""Which deployment uses which repository: one object per deployment and module in the metadata bucket.

A tag on the repository would be overwritten by the second deployment. The record is written before
the first use and removed on destroy; clean-up deletes what no record names any more.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "usage/"


@dataclass(frozen=True)
class UsageRecords:
    """The records of all deployments of a project."""

    client: "S3Client"
    bucket: str

    def record(self, deployment: str, module: str, repositories: set[str]) -> None:
        """Say that the deployment's module uses exactly these repositories."""
        body = {"deployment": deployment, "module": module, "repositories": sorted(repositories)}
        self.client.put_object(
            Bucket=self.bucket,
            Key=record_key(deployment, module),
            Body=json.dumps(body, indent=2).encode(),
            ContentType="application/json",
        )

    def recorded(self, deployment: str, module: str) -> set[str]:
        """What the deployment's module is recorded to use; empty without a record."""
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=record_key(deployment, module))
        except self.client.exceptions.NoSuchKey:
            return set()
        return set(json.loads(found["Body"].read())["repositories"])

    def release(self, deployment: str, module: str) -> None:
        """Forget the deployment's module; a record that is gone already is fine."""
        self.client.delete_object(Bucket=self.bucket, Key=record_key(deployment, module))

    def all(self) -> dict[tuple[str, str], set[str]]:
        """Every record of the project: (deployment, module) -> repositories."""
        records: dict[tuple[str, str], set[str]] = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=PREFIX):
            for item in page.get("Contents", []):
                try:
                    found = self.client.get_object(Bucket=self.bucket, Key=item["Key"])
                except self.client.exceptions.NoSuchKey:
                    continue  # another deployment was destroyed since the listing
                record = json.loads(found["Body"].read())
                records[record["deployment"], record["module"]] = set(record["repositories"])
        return records

    def in_use(self) -> set[str]:
        """Every repository that some deployment of the project uses."""
        return set().union(*self.all().values())


def record_key(deployment: str, module: str) -> str:
    """Key of the object that holds a record."""
    return f"{PREFIX}{deployment}/{module}.json"
