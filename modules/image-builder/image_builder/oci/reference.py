"""References: the name of an image in a registry, parsed once into a value.

The grammar is that of the OCI distribution-spec, Pulling manifests (`<name>`, `<reference>`), with
the registry in front and the short forms for Docker Hub that users know from docker.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..shared.endpoints import DOCKER_HUB
from .digest import is_digest

DEFAULT_TAG = "latest"

_HUB_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io"})
_NAME_LIMIT = 255  # characters of registry and repository together

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class InvalidReference(ValueError):  # noqa: N818 - named as the other errors of this client
    """A text is not a reference; the message quotes it and says what is wrong."""


@dataclass(frozen=True)
class Reference:
    """An image in a repository, by tag, by digest, or by a tag that is pinned to a digest.

    Attributes:
        registry: host, with a port where one was given; `docker.io` for Docker Hub.
        repository: path inside the registry, `library/nginx` for instance.
        tag: tag, None when only a digest names the image.
        digest: digest, None when only a tag names the image.

    Raises:
        InvalidReference: a part breaks the grammar, or there is neither tag nor digest.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        problem = _problem(self.registry, self.repository, self.tag, self.digest)
        if problem:
            raise InvalidReference(f"{str(self)!r} is not an image reference: {problem}")

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse what a user writes: `nginx`, `quay.io/calico/node:v3`, `[::1]:5000/x@sha256:…`.

        The first component is a registry when it has a dot, a colon or a capital letter, or is
        `localhost`; other names are on Docker Hub. Without tag and digest the tag is `latest`.

        Raises:
            InvalidReference: the text is not a reference.
        """
        name, at, digest = text.partition("@")
        registry, slash, rest = name.partition("/")
        if not slash or not _looks_like_registry(registry):
            registry, rest = DOCKER_HUB, name
        repository, colon, tag = rest.partition(":")
        registry = registry.lower()
        if registry in _HUB_ALIASES:
            registry = DOCKER_HUB
        if registry == DOCKER_HUB and repository and "/" not in repository:
            repository = f"library/{repository}"
        parts = (registry, repository, tag if colon else None if at else DEFAULT_TAG, digest if at else None)
        problem = _problem(*parts)
        if problem:
            raise InvalidReference(f"{text!r} is not an image reference: {problem}")
        return cls(*parts)

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def identifier(self) -> str:
        """The digest where there is one, else the tag: `<reference>` of the distribution-spec."""
        return self.digest or str(self.tag)

    def with_tag(self, tag: str) -> "Reference":
        """The same repository, named by this tag alone.

        Raises:
            InvalidReference: the tag breaks the grammar.
        """
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: str) -> "Reference":
        """The same repository and tag, pinned to this digest.

        Raises:
            InvalidReference: the digest is none.
        """
        return replace(self, digest=digest)


def _looks_like_registry(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost" or component != component.lower()


def _is_registry(host: str) -> bool:
    if not _REGISTRY.fullmatch(host):
        return False
    try:
        parts = urlsplit(f"//{host}")
        if host.startswith("["):
            ipaddress.IPv6Address(parts.hostname)
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _problem(registry: str, repository: str, tag: str | None, digest: str | None) -> str:
    """What is wrong with the parts of a reference, an empty text when nothing is."""
    if not _is_registry(registry):
        return f"{registry!r} is not a registry host"
    if not repository:
        return "the repository is missing"
    if not _REPOSITORY.fullmatch(repository):
        return (
            f"{repository!r} is not a repository (lower-case letters and digits, with single "
            "separators . _ __ - between them)"
        )
    if registry in _HUB_ALIASES or (registry == DOCKER_HUB and "/" not in repository):
        return f"images of Docker Hub are {DOCKER_HUB}/library/<name> or {DOCKER_HUB}/<account>/<name>"
    if len(registry) + len(repository) + 1 > _NAME_LIMIT:
        return f"registry and repository are longer than {_NAME_LIMIT} characters"
    if tag is not None and not _TAG.fullmatch(tag):
        return f"{tag!r} is not a tag (at most 128 of A-Z a-z 0-9 _ . -)"
    if digest is not None and not is_digest(digest):
        return f"{digest!r} is not a sha256 or sha512 digest"
    if tag is None and digest is None:
        return "it has neither tag nor digest"
    return ""
