"""Which digest a reference has right now: one request each."""

from botocore.exceptions import BotoCoreError, ClientError

from .oci.errors import RegistryError
from .oci.reference import Reference
from .oci.registry import Repository
from .oci.transport import Transport
from .shared.errors import UserError

NO_ANSWER = (RegistryError, UserError, ClientError, BotoCoreError)
"""A registry that does not say, or credentials for it that cannot be had."""


async def digest_at(transport: Transport, reference: Reference) -> str | None:
    """The digest that a reference has by its tag (by its digest without one); None when it is absent.

    Raises:
        NO_ANSWER: the registry does not say.
    """
    return await Repository(transport, reference).find_manifest(reference.tag or reference.identifier)


async def is_in_place(transport: Transport, private: str, digest: str) -> bool:
    """Whether a private reference has this digest; False also when the registry does not say."""
    try:
        return await digest_at(transport, Reference.parse(private)) == digest
    except NO_ANSWER:
        return False
