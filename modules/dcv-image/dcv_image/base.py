"""Which image the DCV image is built on."""

from typing import TYPE_CHECKING

from .settings import Parameters
from .shared.inventory import load_inventory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def resolve(client: "S3Client", parameters: Parameters) -> str:
    """The reference to build on: the private copy when the inventory has one, else as the manifest has it.

    Raises:
        UserError: the inventory that the manifest names cannot be read.
    """
    path = parameters.replicated_ecr_images_metadata_s3_path
    if path is None:
        return parameters.base_image
    return load_inventory(client, path).private(parameters.base_image)


def repository_in(registry_host: str, reference: str) -> str | None:
    """The name of the reference's repository when it lies in that registry."""
    host, _, rest = reference.partition("/")
    if host != registry_host:
        return None
    return rest.partition("@")[0].partition(":")[0]
