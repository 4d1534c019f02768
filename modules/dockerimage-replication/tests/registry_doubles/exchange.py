"""A request, its reply, and the rules between them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from multidict import CIMultiDict

Body = AsyncIterator[bytes]


class ResetConnection(Exception):  # noqa: N818 - it is an instruction, no error
    """Raised by a rule or by a body: the client's connection is reset at once (TCP RST)."""


class CutOff(Exception):  # noqa: N818 - it is an instruction, no error
    """Raised by a reply's body: the connection ends here, whatever the length that was announced."""


async def body_of(content: bytes = b"") -> Body:
    """A body that is known already."""
    if content:
        yield content


@dataclass(frozen=True)
class Request:
    """A request on its way to the registry.

    Attributes:
        method: HTTP method.
        target: path and query as they were sent.
        headers: headers, by name in any case.
        body: its body, which can be read once.
    """

    method: str
    target: str
    headers: CIMultiDict[str]
    body: Body

    @classmethod
    def own(cls, method: str, target: str, host: str, body: bytes = b"") -> "Request":
        """A request that a rule sends to the registry by itself."""
        headers = CIMultiDict({"Host": host, "Content-Length": str(len(body))})
        return cls(method, target, headers, body_of(body))

    def with_body(self, body: Body) -> "Request":
        """The same request with another body of the same length."""
        return replace(self, body=body)

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several with one name the last."""
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: value[-1] for name, value in values.items()}

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.body])


@dataclass(frozen=True)
class Reply:
    """A reply on its way to the client.

    Attributes:
        status: HTTP status.
        headers: headers, by name in any case.
        body: its body, which can be read once.
        seconds_per_byte: pace at which it is sent, head and body; 0 for as fast as it goes.
    """

    status: int
    headers: CIMultiDict[str]
    body: Body
    seconds_per_byte: float = 0.0

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> "Reply":
        """A reply that does not come from the registry."""
        return cls(status, CIMultiDict({"Content-Length": str(len(body)), **(headers or {})}), body_of(body))

    @classmethod
    def error(cls, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> "Reply":
        """An error in the shape of the OCI distribution-spec (Error codes)."""
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        return cls.of(status, {"Content-Type": "application/json", **(headers or {})}, body)

    def with_body(self, body: Body) -> "Reply":
        """The same reply with another body, its announced length unchanged."""
        return replace(self, body=body)

    async def read(self) -> bytes:
        """The whole body; what a rule does not hand on has to be read, so that the connection can go on."""
        return b"".join([chunk async for chunk in self.body])


Forward = Callable[[Request], Awaitable[Reply]]
"""Hands a request to the next rule, and in the end to the registry."""

Rule = Callable[[Request, Forward], Awaitable[Reply]]
"""Decides about a request: forwards it, as it is or changed, or answers in the registry's place."""


@dataclass(frozen=True)
class RepositoryPath:
    """What a path below /v2/ means.

    Attributes:
        repository: name of the repository.
        kind: `manifests`, `blobs`, `uploads`, `tags` or `referrers`.
        name: tag, digest or id of the upload; empty where none follows.
    """

    repository: str
    kind: str
    name: str = field(default="")


def parse_path(path: str) -> RepositoryPath | None:
    """The meaning of a path; None when it is not within a repository."""
    if not path.startswith("/v2/"):
        return None
    rest = path.removeprefix("/v2/")
    for marker, kind in (
        ("/blobs/uploads/", "uploads"),
        ("/blobs/", "blobs"),
        ("/manifests/", "manifests"),
        ("/referrers/", "referrers"),
        ("/tags/", "tags"),
    ):
        repository, found, name = rest.partition(marker)
        if found:
            return RepositoryPath(repository, kind, name)
    return None
