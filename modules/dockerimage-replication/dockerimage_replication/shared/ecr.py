"""ECR repositories that outlive a stack: made idempotently, tagged, scanned and encrypted."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import UserError
from .ownership import Owner

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef


@dataclass(frozen=True)
class Login:
    """User and password for ECR's registry; valid for 12 hours (ECR user guide, Private registry)."""

    username: str
    password: str = field(repr=False)


def login(client: "ECRClient") -> Login:
    """A fresh login for the account's registry."""
    data = client.get_authorization_token()["authorizationData"][0]
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return Login(username, password)


def ensure_repository(client: "ECRClient", name: str, owner: Owner) -> str:
    """Make the repository unless it is there already (two applies at once are fine); return its URI."""
    created = create_repository(client, name, owner)
    return created["repositoryUri"] if created else repository_uri(client, name)


def create_repository(
    client: "ECRClient", name: str, owner: Owner, kms_key: str | None = None
) -> "RepositoryTypeDef | None":
    """Make the repository; None when it is there already.

    Args:
        client: of the account and region.
        name: its name.
        owner: whose tags it carries.
        kms_key: ARN of the key that encrypts it; a key of ECR's own if none is given. It cannot be
            changed later (Amazon ECR user guide, Encryption at rest).
    """
    try:
        return client.create_repository(
            repositoryName=name,
            tags=owner.tags(),
            imageScanningConfiguration={"scanOnPush": True},
            encryptionConfiguration=(
                {"encryptionType": "KMS", "kmsKey": kms_key} if kms_key else {"encryptionType": "AES256"}
            ),
        )["repository"]
    except client.exceptions.RepositoryAlreadyExistsException:
        return None


def repository_uri(client: "ECRClient", name: str) -> str:
    """URI of an existing repository.

    Raises:
        UserError: there is no such repository.
    """
    try:
        found = client.describe_repositories(repositoryNames=[name])
    except client.exceptions.RepositoryNotFoundException:
        raise UserError(f"the ECR repository `{name}` does not exist in this account and region") from None
    return found["repositories"][0]["repositoryUri"]


def repositories(client: "ECRClient") -> "Iterator[RepositoryTypeDef]":
    """All repositories of the account and region, without their tags, which this call does not have."""
    pages = client.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1000})
    for page in pages:
        yield from page["repositories"]


def repository_names(client: "ECRClient") -> set[str]:
    """Names of all repositories of the account and region."""
    return {repository["repositoryName"] for repository in repositories(client)}


def owned_repositories(client: "ECRClient", owner: Owner, prefix: str) -> Iterator[str]:
    """Names of the repositories that carry the owner's tags.

    `prefix` only spares the question for the tags of others, which a policy may forbid to ask: a name
    that begins with it says nothing about the owner.
    """
    for repository in repositories(client):
        if not repository["repositoryName"].startswith(prefix):
            continue
        try:
            tags = client.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        except client.exceptions.RepositoryNotFoundException:
            continue  # another destroy has deleted it since the listing
        if owner.owns(tags):
            yield repository["repositoryName"]


def delete_repository(client: "ECRClient", name: str) -> None:
    """Delete a repository with its images; one that is gone already is fine."""
    try:
        client.delete_repository(repositoryName=name, force=True)
    except client.exceptions.RepositoryNotFoundException:
        return
