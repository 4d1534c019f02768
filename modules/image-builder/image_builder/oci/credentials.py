"""Credentials, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Credentials:
    """A user name and a password or token of one registry; the password is not in the repr."""

    username: str
    password: str = field(repr=False)


class CredentialStore(Protocol):
    """Gives the credentials of a host when that host asks for them.

    The client asks again for every request that needs credentials and keeps none, so a store can
    fetch lazily, cache, and renew a token before it expires.
    """

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The credentials of `host` (with its port, if it has one), None when there are none.

        Args:
            host: the registry's host, or the host of the URL that overrides it.
            refresh: the credentials given last were refused; fetch new ones.
        """
        ...


@dataclass(frozen=True)
class StaticCredentials:
    """A store of credentials that are known from the start and never change."""

    by_host: Mapping[str, Credentials]

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The credentials of `host`; `refresh` makes no difference."""
        return self.by_host.get(host)
