"""References inside longer texts: command lines, scripts, settings, annotations."""

import re
from collections.abc import Iterator

from .registries import Known, has_version, parsed

_BETWEEN = re.compile(r"[\s,;'\"`()<>|\[\]{}]+")
_ENDS = ".:$/"  # of a sentence, or of a reference whose rest is a variable
_SCHEMES = ("oci", "docker")  # of references; any other scheme makes a URL


def references_in(text: str, known: Known) -> Iterator[tuple[str, str]]:
    """Every reference in a text, each with the reason why it is one.

    A word counts when it begins with a registry that is known, or names an image that is known. Names
    of one segment (`redis`) count only with the very tag that is known, since `redis:6379` is an address.
    """
    for word in _BETWEEN.split(text):
        scheme, separator, rest = word.rpartition("://")
        if separator and scheme.rpartition("=")[2] not in _SCHEMES:
            continue
        for part in (rest if separator else word).split("="):
            candidate = part.rstrip(_ENDS)
            why = _why(candidate, known)
            if why:
                yield candidate, why


def _why(text: str, known: Known) -> str:
    reference = parsed(text) if "/" in text or has_version(text) else None
    if reference is None:
        return ""
    host, slash, _ = text.partition("/")
    if slash and known.is_registry(host):
        return f"it begins with the registry {host}"
    if reference in known.images or (slash and (reference.registry, reference.repository) in known.names):
        return "it names an image of the data files"
    return ""
