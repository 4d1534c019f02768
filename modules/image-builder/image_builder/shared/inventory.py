"""The inventory of what was replicated: from a public reference to its private copy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Inventory:
    """The `images` map of an uploaded inventory: source reference as written -> private reference."""

    images: Mapping[str, str]

    def private(self, reference: str) -> str:
        """The private copy of `reference`, or `reference` itself when it was not replicated."""
        for name in _spellings(reference):
            if name in self.images:
                return self.images[name]
        return reference


def load_inventory(client: "S3Client", full_path: str) -> Inventory:
    """Read the object that `S3FullPath` names (`bucket/key`, without `s3://`).

    Raises:
        UserError: the path has no key, the object is not there, or it is not an inventory.
    """
    bucket, slash, key = full_path.removeprefix("s3://").partition("/")
    if not slash or not key:
        raise UserError(f"`{full_path}` is not an S3 path of the form bucket/key")
    try:
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (client.exceptions.NoSuchKey, client.exceptions.NoSuchBucket):
        raise UserError(f"the replication inventory s3://{bucket}/{key} does not exist") from None
    try:
        images = json.loads(body).get("images", {})
    except (ValueError, AttributeError):
        raise UserError(
            f"s3://{bucket}/{key} is not a replication inventory: it holds no JSON object"
        ) from None
    return Inventory(images)


def _spellings(reference: str) -> list[str]:
    """The ways in which a data file may have written the same Docker Hub image."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    return [reference, short, f"library/{short}", f"docker.io/{short}", f"docker.io/library/{short}"]
