"""S3 and ECR of one account in memory, as far as clean-up calls them; moto takes 50 times as long.

The same property runs against moto with fewer examples, which keeps this double true.
"""

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from dockerimage_replication.aws import Aws
from dockerimage_replication.shared.account import Account
from replication_support import ACCOUNT


class _NotThereError(ClientError):
    """NoSuchKey, NoSuchBucket, RepositoryNotFoundException."""


def _refused(kind: type[ClientError], code: str) -> ClientError:
    return kind({"Error": {"Code": code}}, "Call")


class _Pages:
    """A paginator with one page."""

    def __init__(self, make: Any) -> None:  # noqa: ANN401 - a method
        self._make = make

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - boto3's own
        yield self._make(**arguments)


@dataclass
class _Bucket:
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    tags: list[Any] = field(default_factory=list)


class S3:
    """Buckets."""

    exceptions = SimpleNamespace(
        NoSuchKey=_NotThereError, NoSuchBucket=_NotThereError, ClientError=ClientError
    )

    def __init__(self) -> None:
        self.buckets: dict[str, _Bucket] = {}

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(getattr(self, operation))

    def create_bucket(self, Bucket: str) -> None:  # noqa: N803 - boto3's own
        self.buckets.setdefault(Bucket, _Bucket())

    def put_bucket_tagging(self, Bucket: str, Tagging: dict[str, Any]) -> None:  # noqa: N803
        self.buckets[Bucket].tags = Tagging["TagSet"]

    def get_bucket_tagging(self, Bucket: str) -> dict[str, Any]:  # noqa: N803
        return {"TagSet": self.buckets[Bucket].tags}

    def head_bucket(self, Bucket: str) -> None:  # noqa: N803
        if Bucket not in self.buckets:
            raise _refused(ClientError, "404")

    def list_objects_v2(self, Bucket: str, Prefix: str = "") -> dict[str, Any]:  # noqa: N803
        keys = sorted(key for key in self.buckets[Bucket].objects if key.startswith(Prefix))
        return {"Contents": [{"Key": key} for key in keys]}

    def list_object_versions(self, Bucket: str) -> dict[str, Any]:  # noqa: N803
        objects = self.buckets[Bucket].objects
        return {"Versions": [{"Key": key, "VersionId": "1", "IsLatest": True} for key in objects]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Bucket not in self.buckets or Key not in self.buckets[Bucket].objects:
            raise _refused(_NotThereError, "NoSuchKey")
        body, version = self.buckets[Bucket].objects[Key]
        return {"Body": io.BytesIO(body), "ETag": version}

    def put_object(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str = "",  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
    ) -> dict[str, str]:
        self._check(Bucket, Key, IfMatch, IfNoneMatch)
        version = uuid.uuid4().hex
        self.buckets[Bucket].objects[Key] = (Body, version)
        return {"ETag": version}

    def delete_object(self, Bucket: str, Key: str, IfMatch: str | None = None) -> None:  # noqa: N803
        self._check(Bucket, Key, IfMatch, None)
        self.buckets[Bucket].objects.pop(Key, None)

    def delete_bucket(self, Bucket: str) -> None:  # noqa: N803
        assert not self.buckets.pop(Bucket).objects

    def _check(self, bucket: str, key: str, match: str | None, none_match: str | None) -> None:
        there = self.buckets[bucket].objects.get(key)
        if (none_match and there) or (match and (there is None or there[1] != match)):
            raise _refused(ClientError, "PreconditionFailed")


@dataclass
class _Repository:
    tags: list[Any]
    images: set[str] = field(default_factory=set)


class Ecr:
    """Repositories."""

    exceptions = SimpleNamespace(RepositoryNotFoundException=_NotThereError)

    def __init__(self) -> None:
        self.repositories: dict[str, _Repository] = {}

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(getattr(self, operation))

    def describe_repositories(self, PaginationConfig: object) -> dict[str, Any]:  # noqa: N803
        names = sorted(self.repositories)
        return {"repositories": [{"repositoryName": name, "repositoryArn": name} for name in names]}

    def list_tags_for_resource(self, resourceArn: str) -> dict[str, Any]:  # noqa: N803
        return {"tags": self.repositories[resourceArn].tags}

    def create_repository(self, repositoryName: str, tags: list[Any]) -> None:  # noqa: N803
        self.repositories[repositoryName] = _Repository(tags)

    def delete_repository(self, repositoryName: str, force: bool) -> None:  # noqa: N803
        assert force
        del self.repositories[repositoryName]

    def put_image(self, repositoryName: str, imageManifest: str, imageTag: str) -> None:  # noqa: N803
        self.repositories[repositoryName].images.add(f"sha256:{hash(imageManifest):x}")

    def list_images(self, repositoryName: str) -> dict[str, Any]:  # noqa: N803
        images = sorted(self.repositories[repositoryName].images)
        return {"imageIds": [{"imageDigest": digest} for digest in images]}

    def batch_delete_image(self, repositoryName: str, imageIds: list[Any]) -> dict[str, Any]:  # noqa: N803
        self.repositories[repositoryName].images -= {image["imageDigest"] for image in imageIds}
        return {"failures": []}


def account_in_memory() -> Aws:
    """An empty account."""
    account = Account(ACCOUNT, "us-east-1", "aws", "amazonaws.com")
    s3: Any = S3()
    ecr: Any = Ecr()
    secrets: Any = None
    return Aws(account, s3, ecr, secrets)
