"""Charts in http(s) chart repositories (Helm documentation, The Chart Repository Guide)."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Mapping

from yarl import URL

from ..oci.endpoints import Endpoint, endpoint_of
from ..oci.errors import Denied, NotFound
from ..oci.transport import Request, Transport
from ..shared.endpoints import Endpoints
from .archive import MAX_ARCHIVE, ChartError, read_chart
from .fetched import FetchedChart
from .untrusted_yaml import UntrustedYamlError, load_texts

_PATIENCE = 120.0  # seconds; some servers make an index anew when they are asked for it
MAX_INDEX = 64 * 1024 * 1024  # bytes; the largest public ones have about 20 MB
MAX_PROVENANCE = 1024 * 1024  # bytes; it holds Chart.yaml, a checksum and a signature
_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SHOWN_VERSIONS = 5  # in the message about a version that is not there


class ChartRepositories:
    """All http(s) chart repositories of a run; each index is fetched once.

    Args:
        transport: sends the requests; credentials go to hosts that ask for them and nowhere else.
        endpoints: the overrides of the transport, which hold for the hosts of chart repositories too.
    """

    def __init__(self, transport: Transport, endpoints: Endpoints) -> None:
        self._transport = transport
        self._endpoints = endpoints
        self._indexes: dict[str, Mapping[str, object]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fetch(self, repository: str, name: str, version: str) -> FetchedChart:
        """Fetch a chart and check it against the digest in the repository's index.

        Raises:
            ChartError: the repository, the chart or the version is not there, or is not what the index says.
            RegistryError: a request failed.
        """
        entry = _find(await self._index(repository), repository, name, version)
        url = _chart_url(repository, entry)
        archive = await self._get(url, f"chart {name} {version}", MAX_ARCHIVE)
        expected = str(entry.get("digest") or "").removeprefix("sha256:")
        if expected and hashlib.sha256(archive).hexdigest() != expected:
            raise ChartError(f"what was downloaded has not the digest in the index of {repository}")
        chart = await asyncio.to_thread(read_chart, archive)
        return FetchedChart(chart, archive, await self._provenance(url, f"provenance of {name} {version}"))

    async def _provenance(self, chart: URL, subject: str) -> bytes | None:
        """The provenance file beside the chart (Helm documentation, Provenance and Integrity)."""
        try:
            content = await self._get(URL(f"{chart}.prov", encoded=True), subject, MAX_PROVENANCE)
        except (NotFound, Denied):  # a bucket that may not be listed denies what is not there
            return None
        # Some servers have a page for every address.
        return content if content.startswith(_SIGNED) else None

    async def _index(self, repository: str) -> Mapping[str, object]:
        async with self._locks[repository]:
            if repository not in self._indexes:
                url = URL(f"{repository.rstrip('/')}/index.yaml")
                raw = await self._get(url, f"index of {repository}", MAX_INDEX)
                self._indexes[repository] = await asyncio.to_thread(_entries, raw, repository)
        return self._indexes[repository]

    async def _get(self, url: URL, subject: str, limit: int) -> bytes:
        address, endpoint = reached(url, self._endpoints)
        request = Request("GET", address, endpoint, (), subject, answer_limit=limit + 1, patience=_PATIENCE)
        body = (await self._transport.request(request)).body
        if len(body) > limit:
            raise ChartError(f"{subject} is larger than {limit} bytes")
        return body


def reached(url: URL, endpoints: Endpoints) -> tuple[URL, Endpoint]:
    """Where a URL is really reached: the base of an overridden host is replaced, its path kept."""
    host = url.raw_authority
    if host in endpoints.overrides:
        endpoint = endpoint_of(endpoints, host)
        path = f"/{endpoint.prefix}{url.raw_path.removeprefix('/')}"
        return endpoint.origin.join(URL(path, encoded=True)).with_query(url.raw_query_string), endpoint
    return url, Endpoint(url.origin(), "", host)


def _entries(raw: bytes, repository: str) -> Mapping[str, object]:
    try:
        index = load_texts(raw)
    except UntrustedYamlError:
        index = None
    entries = index.get("entries") if isinstance(index, dict) else None
    if not isinstance(entries, dict):
        raise ChartError(f"{repository}/index.yaml is not the index of a chart repository")
    return entries


def _find(entries: Mapping[str, object], repository: str, name: str, version: str) -> Mapping[str, object]:
    """The index's entry of a version, written with or without the leading `v`."""
    listed = entries.get(name)
    if not isinstance(listed, list) or not listed:
        raise ChartError(f"{repository} has no chart of this name")
    found = {str(entry.get("version")): entry for entry in reversed(listed) if isinstance(entry, dict)}
    for spelling in (version, version.removeprefix("v"), f"v{version}"):
        if spelling in found:
            return found[spelling]
    newest = ", ".join(list(reversed(found))[:_SHOWN_VERSIONS])
    raise ChartError(f"{repository} does not have this version (it begins with {newest})")


def _chart_url(repository: str, entry: Mapping[str, object]) -> URL:
    urls = entry.get("urls")
    if not isinstance(urls, list) or not urls:
        raise ChartError(f"the index of {repository} names no URL for it")
    try:
        url = URL(f"{repository.rstrip('/')}/").join(URL(str(urls[0])))
        if url.scheme in ("http", "https") and url.host and url.user is None:
            return url
    except ValueError:
        pass
    raise ChartError(f"the index of {repository} names {urls[0]!r}, which is no http(s) URL")
