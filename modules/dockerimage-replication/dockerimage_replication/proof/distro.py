"""Helm from `helm-distro-url`: downloaded, checked against its checksum, and unpacked."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from ..charts.repository import reached
from ..credentials import HelmSecret
from ..lock import LockedHelm
from ..oci.credentials import Credentials
from ..oci.errors import Denied, NotFound, RegistryError
from ..oci.transport import Request, Transport
from ..shared.endpoints import Endpoints
from ..shared.errors import UserError
from .unpack import unpack_helm

MAX_DISTRO = 200 * 1024 * 1024  # bytes of a packed Helm; the public ones have about 20 MB
_MAX_CHECKSUMS = 64 * 1024  # bytes of the file with the checksum
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})(?:[ \t]+\*?(\S+))?")
_PARAMETER = "manifest parameter `helm-distro-url`"

Say = Callable[[str], None]
"""Prints a line for the build's log."""


@dataclass(frozen=True)
class HelmDistro:
    """Where Helm is downloaded.

    Attributes:
        url: URL of the archive.
        sha256: what its SHA-256 has to be; None when nobody said.
        secret: credentials for the host of the URL and for no other.
        endpoints: overrides of hosts.
        known: what an earlier run used.
    """

    url: str
    sha256: str | None
    secret: HelmSecret | None
    endpoints: Endpoints
    known: LockedHelm | None


async def fetch_helm(distro: HelmDistro, folder: Path, say: Say) -> tuple[Path, str]:
    """Download Helm into `folder`: the program, and the SHA-256 of the archive that it came from.

    Raises:
        UserError: it cannot be had, is not what its checksum says, or is no archive with Helm.
    """
    address, endpoint = reached(URL(distro.url), distro.endpoints)
    archive = folder / "helm.tar.gz"
    store = _OneHost(endpoint.credential_host, distro.secret)
    # A transport of its own: a host may have other credentials for charts than for Helm.
    async with Transport(endpoints=distro.endpoints, credentials=store) as transport:

        def request(url: URL) -> Request:
            return Request("GET", url, endpoint, (), str(URL(distro.url)), answer_limit=_MAX_CHECKSUMS)

        try:
            digest = await transport.retry.run(lambda: _download(transport, request(address), archive))
            expected = distro.sha256 or await _checksum_beside(transport, request, address)
        except RegistryError as error:
            raise UserError(f"helm cannot be downloaded ({_PARAMETER}): {error}") from None
    _check(distro, digest, expected, say)
    await asyncio.to_thread(unpack_helm, archive, folder / "helm", distro.url)
    archive.unlink()
    return folder / "helm", digest


class _OneHost:
    """Gives the credentials of the secret to one host."""

    def __init__(self, host: str, secret: HelmSecret | None) -> None:
        self._host = host
        self._secret = secret

    async def credentials(self, host: str, *, refresh: bool) -> Credentials | None:
        """The secret's credentials, read anew each time; see `oci.credentials.CredentialStore`."""
        if self._secret is None or host != self._host:
            return None
        return await asyncio.to_thread(self._secret.read)


async def _download(transport: Transport, request: Request, target: Path) -> str:
    """Write the answer's body to `target`; its SHA-256."""
    hasher = hashlib.sha256()
    received = 0
    with target.open("wb") as file:
        async with transport.stream(request) as response:
            async for chunk in response.chunks():
                received += len(chunk)
                if received > MAX_DISTRO:
                    raise UserError(f"{request.subject} ({_PARAMETER}) is larger than {MAX_DISTRO} bytes")
                hasher.update(chunk)
                file.write(chunk)
    return hasher.hexdigest()


async def _checksum_beside(
    transport: Transport, request: Callable[[URL], Request], address: URL
) -> str | None:
    """The checksum in `<url>.sha256sum`; None when there is no such file.

    Raises:
        UserError: the file holds no checksum of the archive.
    """
    url = URL(f"{address}.sha256sum", encoded=True)
    try:
        answer = await transport.request(request(url))
    except (NotFound, Denied):  # S3 says 403 for what is not there
        return None
    found = [_CHECKSUM.fullmatch(line.strip()) for line in answer.body.decode(errors="replace").splitlines()]
    sums = {str(match[2] or address.name).rpartition("/")[2]: match[1].lower() for match in found if match}
    if address.name not in sums:
        raise UserError(
            f"{url} holds no SHA-256 of {address.name}: correct the file, or say the checksum in the "
            "manifest parameter `helm-distro-sha256`"
        )
    return sums[address.name]


def _check(distro: HelmDistro, digest: str, expected: str | None, say: Say) -> None:
    if expected is not None:
        if digest != expected:
            source = "`helm-distro-sha256`" if distro.sha256 else "the checksum beside it"
            raise UserError(
                f"{distro.url} ({_PARAMETER}) has the SHA-256 {digest}, and {source} says {expected}: "
                "it is damaged or not the archive that was meant"
            )
        return
    if distro.known is None or distro.known.url != distro.url:
        say(
            f"WARNING: nothing says what {distro.url} should be: set the parameter `helm-distro-sha256` "
            f"to {digest} if that is right"
        )
    elif distro.known.sha256 != digest:
        raise UserError(
            f"{distro.url} ({_PARAMETER}) has changed: its SHA-256 was {distro.known.sha256} according to "
            f"the lock and is {digest} now; if that is right, set the parameter "
            "`helm-distro-sha256` to it"
        )
