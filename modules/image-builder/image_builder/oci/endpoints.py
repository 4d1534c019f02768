"""The address of one registry, as the transport needs it."""

import re
from dataclasses import dataclass

from yarl import URL

from ..shared.endpoints import Endpoints


@dataclass(frozen=True)
class Endpoint:
    """The address of one registry.

    Attributes:
        origin: scheme, host and port; credentials are sent to nothing else.
        prefix: path in front of every repository name, empty or ending in a slash.
        credential_host: host whose credentials belong here: the registry's own, or the host (with its
            port) of the override, because that is another server, which must not see them.
        is_ecr: whether it is Amazon ECR, which finds a blob in a repository only once an image there
            refers to it.
    """

    origin: URL
    prefix: str
    credential_host: str
    is_ecr: bool = False


_ECR = re.compile(r"\d{12}\.dkr[.-]ecr[.-].+")  # Amazon ECR user guide, Private registry


def endpoint_of(endpoints: Endpoints, registry: str) -> Endpoint:
    """The endpoint of a registry."""
    base = URL(endpoints.base_url(registry))
    prefix = base.path.strip("/")
    return Endpoint(
        origin=base.origin(),
        prefix=f"{prefix}/" if prefix else "",
        credential_host=base.authority if registry in endpoints.overrides else registry,
        is_ecr=_ECR.fullmatch(registry) is not None,
    )
