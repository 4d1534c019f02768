"""The WWW-Authenticate header (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar's name for a word
_PART = re.compile(
    rf"[\s,]*(?:(?P<key>{_TOKEN})\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>{_TOKEN}))"
    rf"|(?P<scheme>{_TOKEN}))"
)


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate that a server offers.

    Attributes:
        scheme: in lower case, `basic` or `bearer`.
        parameters: by lower-case name: `realm`, `service`, `scope`.
    """

    scheme: str
    parameters: Mapping[str, str]

    def without_scope(self) -> "Challenge":
        """The same for any request."""
        kept = {name: value for name, value in self.parameters.items() if name != "scope"}
        return Challenge(self.scheme, kept)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of all WWW-Authenticate headers, in their order; what is malformed ends its header."""
    challenges: list[Challenge] = []
    for header in headers:
        position = 0
        parameters: dict[str, str] | None = None
        while part := _PART.match(header, position):
            position = part.end()
            if part["scheme"]:
                parameters = {}
                challenges.append(Challenge(part["scheme"].lower(), parameters))
            elif parameters is not None:
                quoted = part["quoted"]
                value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters[part["key"].lower()] = value
    return challenges
