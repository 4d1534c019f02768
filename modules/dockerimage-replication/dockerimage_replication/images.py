"""The images in a repository, and their deletion."""

from typing import TYPE_CHECKING

from .shared.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_DELETE_LIMIT = 100  # images of one BatchDeleteImage call (Amazon ECR API reference)


def digests(client: "ECRClient", repository: str) -> list[str]:
    """Digests of all images; empty without the repository."""
    found: set[str] = set()
    try:
        for page in client.get_paginator("list_images").paginate(repositoryName=repository):
            found.update(image["imageDigest"] for image in page["imageIds"] if "imageDigest" in image)
    except client.exceptions.RepositoryNotFoundException:
        return []
    return sorted(found)


def delete_images(client: "ECRClient", repository: str) -> None:
    """Delete every image with its tags; ECR refuses one that an index refers to until the index is gone.

    Raises:
        UserError: some cannot be deleted; ECR's reasons.
    """
    left = digests(client, repository)
    while left:
        reasons = _delete(client, repository, left)
        before, left = left, digests(client, repository)
        if len(left) >= len(before):
            raise UserError(f"{len(left)} images in {repository} cannot be deleted: {'; '.join(reasons)}")


def _delete(client: "ECRClient", repository: str, images: list[str]) -> set[str]:
    """One try for each image; why ECR refused some."""
    reasons: set[str] = set()
    for start in range(0, len(images), _DELETE_LIMIT):
        batch = images[start : start + _DELETE_LIMIT]
        answer = client.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageDigest": digest} for digest in batch]
        )
        reasons.update(failure.get("failureReason", "?") for failure in answer["failures"])
    return reasons
