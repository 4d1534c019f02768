"""Texts that a manifest gives: a list, and an address."""

import json
import re
from urllib.parse import urlsplit


def names_in(text: str, nothing: str) -> list[str]:
    """A list as SeedFarmer hands it over (JSON), or names with commas or spaces between them.

    Raises:
        ValueError: it is no list of names, or an empty one; the message then is `nothing`.
    """
    if text.lstrip().startswith("["):
        try:
            names = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON ({error}): {text!r}") from None
        if not all(isinstance(name, str) for name in names):
            raise ValueError(f"must be a list of names, not {text!r}")
    else:
        names = re.split(r"[,\s]+", text.strip(", \n"))
    if not any(names):
        raise ValueError(nothing)
    return list(names)


def checked_url(url: str) -> str:
    """The address, if a shell, a log and an image's history may show it: no credentials, no spaces.

    Raises:
        ValueError: it is none. It is not repeated, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        complete = None
    if not complete or not re.fullmatch(r"[A-Za-z0-9:/._~%\[\]-]+", url):
        raise ValueError("must be http(s)://host[:port][/path], without credentials")
    return url.rstrip("/")
