"""Logins of the account's registries, as `oci.credentials.CredentialStore`.

They come from the role that the platform gives to the process (EKS Pod Identity, IRSA, an instance's role),
so that no password is kept anywhere.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from ..oci.credentials import Credentials
from ..oci.endpoints import endpoint_of
from ..shared.ecr import login
from ..shared.endpoints import Endpoints
from .clients import ecr_client
from .hosts import region_of

log = logging.getLogger(__name__)

LIFETIME = 11 * 3600  # seconds; logins last 12 hours (ECR user guide, Private registry)


class EcrLogins:
    """Logins of these registries and no others; fetched when one asks for it, and kept.

    Args:
        registries: hosts of references; those that are not of ECR are left out.
        endpoints: where they are really reached.
    """

    def __init__(self, registries: Iterable[str], endpoints: Endpoints) -> None:
        self._regions = {
            endpoint_of(endpoints, host).credential_host: region
            for host in registries
            if (region := region_of(host))
        }
        self._kept: dict[str, tuple[Credentials, float]] = {}

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The login of `host`; None when it is none of ours, or AWS gives none: the registry then says no."""
        region = self._regions.get(host)
        if region is None:
            return None
        kept = self._kept.get(host)
        if kept and not refresh and time.monotonic() - kept[1] < LIFETIME:
            return kept[0]
        try:
            found = await asyncio.to_thread(_login, region)
        except (BotoCoreError, ClientError) as error:
            log.warning("AWS gives no login for %s: %s", host, error)
            return None
        self._kept[host] = (found, time.monotonic())
        return found


def _login(region: str) -> Credentials:
    found = login(ecr_client(region))
    return Credentials(found.username, found.password)
