"""Where a deployment's lock lies: beside its inventory in the project's metadata bucket."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lock import Lock
from .module_outputs import lock_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class LockStore:
    """The lock of one deployment's module.

    Attributes:
        client: reads and writes it.
        bucket: the project's metadata bucket.
        deployment: name of the deployment.
        module: SeedFarmer's `{group}-{module}`.
    """

    client: "S3Client"
    bucket: str
    deployment: str
    module: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self._key}"

    def read(self) -> Lock | None:
        """The lock of the last run that succeeded, None without one.

        Raises:
            LockError: it cannot be read.
        """
        try:
            body = self.client.get_object(Bucket=self.bucket, Key=self._key)["Body"].read()
        except (self.client.exceptions.NoSuchKey, self.client.exceptions.NoSuchBucket):
            return None
        return Lock.parse(body, str(self))

    def write(self, lock: Lock) -> None:
        """Replace the lock."""
        self.client.put_object(
            Bucket=self.bucket, Key=self._key, Body=lock.serialise(), ContentType="application/json"
        )

    @property
    def _key(self) -> str:
        return lock_key(self.deployment, self.module)
