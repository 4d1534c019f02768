"""Which hosts are private registries of Amazon ECR, and where these are."""

import re

_ECR = re.compile(
    r"\d{12}\.dkr[.-]ecr[.-](?:fips\.)?(?P<region>[a-z0-9-]+)\..+"
)  # ECR user guide, Private registry


def region_of(host: str) -> str | None:
    """The region of a private registry; None for another host."""
    match = _ECR.fullmatch(host)
    return match["region"] if match else None
