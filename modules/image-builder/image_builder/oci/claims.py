"""Which repository of a registry gets a blob first; all others mount it from there."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class _Claim:
    repository: str
    settled: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Claims:
    """The claims of one run.

    An image claims all its blobs at one moment, when its manifest has been read, and then waits only
    for images that did so before: nobody waits in a circle.
    """

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], _Claim] = {}  # registry, content

    def claim(self, registry: str, content: str, repository: str) -> None:
        """Say that a repository will get the blob, unless another one will."""
        self._claims.setdefault((registry, content), _Claim(repository))

    async def origin(self, registry: str, content: str, repository: str) -> str | None:
        """Another repository from which the blob can be mounted now; None when it has to be brought."""
        claim = self._claims.get((registry, content))
        if claim is None or claim.repository == repository:
            return None
        return claim.repository if await asyncio.shield(claim.settled) else None

    def fulfil(self, registry: str, content: str, repository: str) -> None:
        """The blob can be mounted from a repository that has claimed it; a claim that failed is renewed."""
        claim = self._claims.get((registry, content))
        if claim is None or (claim.settled.done() and not claim.settled.result()):
            claim = self._claims[registry, content] = _Claim(repository)
        if claim.repository == repository and not claim.settled.done():
            claim.settled.set_result(True)

    def abandon(self, registry: str, content: str, repository: str) -> None:
        """A repository will not get the blob after all: whoever waits for it brings it itself."""
        claim = self._claims.get((registry, content))
        if claim and claim.repository == repository and not claim.settled.done():
            claim.settled.set_result(False)
