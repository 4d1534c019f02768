"""Which image to build on: the private copy of a public one, where there is one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..shared.inventory import load_inventory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ResolvedBase:
    """The reference to build on.

    Attributes:
        reference: as it is pulled, before `registry-endpoints` is looked at.
        hint: why it is not a private copy, and what to do when it cannot be pulled; else empty.
    """

    reference: str
    hint: str


def resolve(client: "S3Client", reference: str, inventory: str | None) -> ResolvedBase:
    """The private copy when the inventory has one, else the reference itself.

    Args:
        client: reads the inventory.
        reference: as the manifest has it.
        inventory: `S3FullPath` of the replication; None when the manifest names none.

    Raises:
        UserError: the inventory cannot be read.
    """
    if inventory is None:
        return ResolvedBase(reference, "its public name")
    private = load_inventory(client, inventory).private(reference)
    if private == reference:
        hint = f"its public name: {inventory} has no copy; name it in the data files' `additional_images`"
        return ResolvedBase(reference, hint)
    return ResolvedBase(private, "")


def repository_in(registry_host: str, reference: str) -> str | None:
    """The name of the reference's repository when it lies in that registry."""
    host, _, rest = reference.partition("/")
    if host != registry_host:
        return None
    return rest.partition("@")[0].partition(":")[0]
