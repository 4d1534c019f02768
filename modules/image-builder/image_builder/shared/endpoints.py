"""Where a registry or chart repository is really reached: host -> base URL.

The same code talks to ECR by its real name, to a mirror, or to a registry on loopback.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DOCKER_HUB = "docker.io"
DOCKER_HUB_URL = "https://registry-1.docker.io"


@dataclass(frozen=True)
class Endpoints:
    """Overrides from host (as it stands in a reference) to base URL.

    A base URL may carry a path; it is put in front of the repository name.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> "Endpoints":
        """Parse `{"host": "http(s)://host[:port][/path]"}`.

        Raises:
            ValueError: the text is not such an object; the message quotes the entry.
        """
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON ({error}): {text!r}") from None
        if not isinstance(value, dict):
            raise ValueError(f"must be a JSON object from host to URL, not {text!r}")
        return cls({host: _checked(host, url) for host, url in value.items()})

    def base_url(self, host: str) -> str:
        """Base URL of a host, without a trailing slash; loopback hosts default to http, as docker does."""
        if host in self.overrides:
            return self.overrides[host]
        if host == DOCKER_HUB:
            return DOCKER_HUB_URL
        return f"{'http' if is_loopback(host) else 'https'}://{host}"

    def engine_name(self, reference: str) -> str:
        """The name under which a container engine finds `reference`: overridden hosts are replaced.

        An engine has no notion of our overrides, so pull and push use the real address.
        """
        host, slash, rest = reference.partition("/")
        if not slash or host not in self.overrides:
            return reference
        return f"{self.overrides[host].split('://', 1)[1]}/{rest}"


def is_loopback(host: str) -> bool:
    """Whether `host[:port]` is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _checked(host: object, url: object) -> str:
    if not isinstance(host, str) or not isinstance(url, str):
        raise ValueError(f"must map hosts to URLs, but has {host!r}: {url!r}")
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        complete = False
    if not complete or parts.query or parts.fragment:
        raise ValueError(f"the URL of {host!r} must be http(s)://host[:port][/path], not {url!r}")
    if parts.username or parts.password:
        raise ValueError(f"the URL of {host!r} must not hold credentials")
    return url.rstrip("/")
