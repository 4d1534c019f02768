"""Files that `add` takes from URLs: only from hosts that may be asked, within bounds, verified."""

import hashlib
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


async def fetch(address: str, target: Path, policy: HostPolicy, limit: int, checksum: str | None) -> None:
    """Fetch a URL into a file; each redirect is judged as the first address was.

    Args:
        address: http or https.
        target: the file, which is made.
        policy: which hosts may be asked.
        limit: bytes that it may have.
        checksum: `sha256:…` that it must have.

    Raises:
        NotAllowedError: it leads into the network.
        DownloadError: it gives no file, or another one.
        LimitExceededError: it is too large.
    """
    client = Client(idle_timeout=_IDLE, user_agent=_AGENT, lookup=policy.lookup)
    subject = f"add {_shown(address)}"
    try:
        digest = await _follow(client, URL(address), target, policy, limit, subject)
    except HttpError as error:
        raise DownloadError(f"{subject}: {error}") from None
    except ValueError:
        raise DownloadError(f"{subject}: it is no URL") from None
    finally:
        client.close()
    if checksum not in (None, digest):
        raise DownloadError(f"{subject}: the file has the checksum {digest}")


async def _follow(
    client: Client, url: URL, target: Path, policy: HostPolicy, limit: int, subject: str
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
                    if size > limit:
                        raise LimitExceededError(f"{subject}: it has more than {limit} bytes, the limit")
                    digest.update(chunk)
                    file.write(chunk)
            return f"sha256:{digest.hexdigest()}"
        finally:
            response.release()
    raise DownloadError(f"{subject}: more than {_REDIRECTS} redirects")


def _shown(address: str) -> str:
    """A URL without its query, which may be a secret."""
    return address.partition("?")[0][:200]
