"""ECR takes an image only into a repository that exists: it is made before the first push."""

import asyncio
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from ..building.errors import PushError
from ..oci.reference import Reference
from .clients import ecr_client
from .hosts import region_of


class EcrRepositories:
    """Makes repositories, each once, scanned and encrypted.

    Args:
        tags: what they carry; without any, none is made.
    """

    def __init__(self, tags: Mapping[str, str]) -> None:
        self._tags = tags
        self._known: set[tuple[str, str]] = set()

    async def ensure(self, target: Reference) -> None:
        """Have the repository of an image; registries other than ECR make theirs by themselves.

        Raises:
            PushError: AWS does not make it.
        """
        region = region_of(target.registry)
        key = (target.registry, target.repository)
        if region is None or not self._tags or key in self._known:
            return
        try:
            await asyncio.to_thread(self._make, region, target.repository)
        except (BotoCoreError, ClientError) as error:
            raise PushError(f"the repository {target.repository} cannot be made in ECR: {error}") from None
        self._known.add(key)

    def _make(self, region: str, name: str) -> None:
        client = ecr_client(region)
        try:
            client.create_repository(
                repositoryName=name,
                tags=[{"Key": key, "Value": value} for key, value in self._tags.items()],
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
            )
        except client.exceptions.RepositoryAlreadyExistsException:
            return
