"""Where a registry is really reached: host as it stands in a reference -> base URL."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from .reference import DOCKER_HUB

_DOCKER_HUB_URL = "https://registry-1.docker.io"


@dataclass(frozen=True)
class Endpoint:
    """The address of one registry.

    Attributes:
        origin: scheme, host and port; credentials are sent to nothing else.
        prefix: path in front of every repository name, empty or ending in a slash.
        credential_host: host whose credentials belong here: the registry's own, or the host of the
            override, because that is another server, which must not see them.
    """

    origin: URL
    prefix: str
    credential_host: str


@dataclass(frozen=True)
class Endpoints:
    """Overrides from registry host to base URL; every other registry is reached at its own host.

    A base URL may carry a path; it is put in front of the repository name. Loopback hosts default
    to http, as docker does, all others to https.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for host, url in self.overrides.items():
            _check(host, url)

    @classmethod
    def from_json(cls, text: str) -> "Endpoints":
        """Parse `{"host": "http(s)://host[:port][/path]"}`.

        Raises:
            ValueError: the text is not such an object; the message quotes the entry.
        """
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"is not JSON ({error}): {text!r}") from None
        if not isinstance(value, dict):
            raise ValueError(f"must be a JSON object from host to URL, not {text!r}")
        return cls(value)

    def base_url(self, registry: str) -> str:
        """Base URL of a registry, without a trailing slash."""
        if registry in self.overrides:
            return self.overrides[registry].rstrip("/")
        if registry == DOCKER_HUB:
            return _DOCKER_HUB_URL
        return str(URL(f"http://{registry}" if is_loopback(URL(f"//{registry}")) else f"https://{registry}"))

    def resolve(self, registry: str) -> Endpoint:
        """The endpoint of a registry."""
        base = URL(self.base_url(registry))
        prefix = base.path.strip("/")
        return Endpoint(
            origin=base.origin(),
            prefix=f"{prefix}/" if prefix else "",
            credential_host=base.authority if registry in self.overrides else registry,
        )


def is_loopback(url: URL) -> bool:
    """Whether the host of `url` is this machine: localhost, 127.0.0.0/8 or ::1."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return False


def _check(host: object, url: object) -> None:
    if not isinstance(host, str) or not isinstance(url, str):
        raise ValueError(f"must map hosts to URLs, but has {host!r}: {url!r}")
    try:
        parts = URL(url)
        complete = parts.scheme in ("http", "https") and parts.host and parts.port
    except ValueError:
        complete = False
    if not complete or parts.query_string or parts.fragment:
        raise ValueError(f"the URL of {host!r} must be http(s)://host[:port][/path], not {url!r}")
    if parts.user is not None or parts.password is not None:
        raise ValueError(f"the URL of {host!r} must not hold credentials")
