"""Files that `add` takes from URLs: only from hosts that may be asked, within bounds, verified."""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from multidict import CIMultiDict
from yarl import URL

from ..http1.client import Client
from ..http1.errors import HttpError
from ..oci.proxy import proxy_for
from .errors import DownloadError, LimitExceededError
from .hosts import HostPolicy

_IDLE = 20.0  # seconds
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_AGENT = "image-builder"


class Allowance:
    """Bytes that several files may have together.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def take(self, size: int, subject: str) -> None:
        """Use some of them.

        Raises:
            LimitExceededError: so many are not left.
        """
        self._left -= size
        if self._left < 0:
            raise LimitExceededError(
                f"{subject}: with it, files from URLs have more than {self._limit} bytes, the limit"
            )


@dataclass(frozen=True)
class Bounds:
    """What is fetched at most.

    Attributes:
        each: bytes that one file may have.
        together: what all of a build may have.
    """

    each: int
    together: Allowance


async def fetch(address: str, target: Path, policy: HostPolicy, bounds: Bounds, checksum: str | None) -> None:
    """Fetch a URL into a file; each redirect is judged as the first address was.

    Args:
        address: http or https.
        target: the file, which is made.
        policy: which hosts may be asked.
        bounds: bytes that it may have.
        checksum: `sha256:…` that it must have.

    Raises:
        NotAllowedError: it leads into the network.
        DownloadError: it gives no file, or another one.
        LimitExceededError: it is too large.
    """
    client = Client(idle_timeout=_IDLE, user_agent=_AGENT, lookup=policy.lookup)
    subject = f"add {_shown(address)}"
    try:
        digest = await _follow(client, URL(address), target, policy, bounds, subject)
    except HttpError as error:
        raise DownloadError(f"{subject}: {error}") from None
    except ValueError:
        raise DownloadError(f"{subject}: it is no URL") from None
    finally:
        client.close()
    if checksum not in (None, digest):
        raise DownloadError(f"{subject}: the file has the checksum {digest}")


async def _follow(
    client: Client, url: URL, target: Path, policy: HostPolicy, bounds: Bounds, subject: str
) -> str:
    for _ in range(_REDIRECTS + 1):
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
            raise DownloadError(f"{subject}: it leads to an address that is no plain http or https URL")
        await policy.check(url.authority, subject)
        response = await client.send("GET", url, CIMultiDict(), proxy=proxy_for(url))
        try:
            location = response.headers.get("Location")
            if response.status in _MOVED and location is not None:
                url = url.join(URL(location))
                continue
            if response.status != HTTPStatus.OK:
                raise DownloadError(f"{subject}: the server answers HTTP {response.status}")
            digest, size = hashlib.sha256(), 0
            with target.open("wb") as file:
                async for chunk in response.chunks():
                    size += len(chunk)
                    if size > bounds.each:
                        raise LimitExceededError(
                            f"{subject}: it has more than {bounds.each} bytes, the limit"
                        )
                    bounds.together.take(len(chunk), subject)
                    digest.update(chunk)
                    file.write(chunk)
            return f"sha256:{digest.hexdigest()}"
        finally:
            response.release()
    raise DownloadError(f"{subject}: more than {_REDIRECTS} redirects")


def _shown(address: str) -> str:
    """A URL without its query, which may be a secret."""
    return address.partition("?")[0][:200]
