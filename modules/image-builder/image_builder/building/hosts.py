"""Which hosts a request may lead to: public ones, and those that an administrator has allowed.

Names are resolved before the first connection, and all their addresses must be public: a name that
leads into the network (a metadata service, another team's server) is refused whatever it is called.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..shared.endpoints import DOCKER_HUB, Endpoints
from .errors import NotAllowedError

Resolve = Callable[[str], Awaitable[list[str]]]


async def resolve(host: str) -> list[str]:
    """The addresses of a host; none for a name that does not resolve."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


@dataclass(frozen=True)
class HostPolicy:
    """Who may be asked.

    Args:
        allowed: `host` or `host:port` that may be asked wherever they lead.
        endpoints: registries under another address; who set them wants them asked.
        resolve: how names become addresses.
    """

    allowed: frozenset[str]
    endpoints: Endpoints
    resolve: Resolve = resolve

    async def check(self, authority: str, subject: str) -> None:
        """Refuse a host that leads into the network.

        Args:
            authority: `host` or `host:port`.
            subject: what in the request leads there, for the message.

        Raises:
            NotAllowedError: an address of the host is not public, or it has none.
        """
        if authority == DOCKER_HUB or self.is_allowed(authority):
            return
        await self.addresses(authority, subject)

    def is_allowed(self, authority: str) -> bool:
        """Whether an administrator has named the host."""
        reached = {urlsplit(url).netloc for url in self.endpoints.overrides.values()}
        return bool({authority, host_of(authority)} & self.allowed) or authority in reached | set(
            self.endpoints.overrides
        )

    async def lookup(self, host: str, port: int) -> str:
        """The address to connect to, checked at the moment of the connection.

        Raises:
            NotAllowedError: the host leads into the network.
        """
        at = f"[{host}]" if ":" in host else host
        if self.is_allowed(host) or self.is_allowed(f"{at}:{port}"):
            return host
        return (await self.addresses(at, f"{at}:{port}"))[0]

    async def addresses(self, authority: str, subject: str) -> list[str]:
        """The addresses of a host, all of them public.

        Raises:
            NotAllowedError: one is not, or there are none.
        """
        host = host_of(authority)
        found = [host] if _is_address(host) else await self.resolve(host)
        if not found:
            raise NotAllowedError(f"{subject}: the host {host!r} is not known")
        if not all(map(is_public, found)):
            raise NotAllowedError(
                f"{subject}: the host {host!r} leads into the network of the service; an administrator can "
                "allow it"
            )
        return found


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, also one that is written inside of another."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(part.is_global and not part.is_multicast for part in _inside(parsed))


def host_of(authority: str) -> str:
    """`host` of `host:port`, without the brackets of an IPv6 address."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """An address and the IPv4 addresses that IPv6 has ways to write (mapped, 6to4, Teredo, NAT64)."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            yield address.ipv4_mapped
        if address.sixtofour:
            yield address.sixtofour
        if address.teredo:
            yield from address.teredo
        if address in ipaddress.ip_network("64:ff9b::/96"):
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
