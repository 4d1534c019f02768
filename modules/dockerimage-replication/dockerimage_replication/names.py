"""Names in the private registry.

An image lives in the repository `{project}-{source reference without tag}`, as the data file or the
chart writes that reference. What cannot stand in the name of an ECR repository is changed:

- the colon of a `host:port` becomes `_`, which no host name has: `host:5000/x` -> `host_5000/x`;
- a name that still breaks ECR's rules (two separators in a row, say) or is longer than 256
  characters is cleaned, cut, and ended with a hash of the original, so that no two meet.
"""

import hashlib
import re
from urllib.parse import urlsplit

from .shared.errors import UserError

MAX_REPOSITORY_NAME = 256  # characters (Amazon ECR API reference, CreateRepository)
_HASH_LENGTH = 8
_PART = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")


def split_reference(reference: str) -> tuple[str, str]:
    """Name and suffix of a reference as written: `host:5000/x:1` -> `host:5000/x`, `:1`."""
    name, at, digest = reference.partition("@")
    folder, slash, last = name.rpartition("/")
    base, colon, tag = last.partition(":")
    return f"{folder}{slash}{base}", f"{colon}{tag}{at}{digest}"


def image_repository(project: str, source_name: str) -> str:
    """Name of the repository that holds the copies of `source_name` (a reference without its tag)."""
    host, slash, rest = source_name.partition("/")
    name = f"{project}-{host.lower().replace(':', '_')}{slash}{rest}"
    return name if _fits(name) else _shortened(name, f"{project}-{source_name}")


def private_image(ecr_host: str, project: str, source: str) -> str:
    """Reference of the private copy of `source`; tag and digest stay, none means `latest`."""
    name, suffix = split_reference(source)
    return f"{ecr_host}/{image_repository(project, name)}{suffix or ':latest'}"


def chart_repository(project: str, repository: str, chart: str) -> str:
    """Name of the repository of a chart: `{project}-{last segment of the chart repository}/{chart}`.

    Raises:
        UserError: the chart's name cannot be the last segment of a repository's name, where those who
            install the chart expect it.
    """
    parts = urlsplit(repository.rstrip("/"))
    last = parts.path.rpartition("/")[2] or parts.netloc
    folder = image_repository(project, last.lower())
    name = f"{folder}/{chart}"
    if not _fits(name):
        raise UserError(f"chart `{chart}` of {repository}: `{name}` cannot be the name of an ECR repository")
    return name


def chart_tag(version: str) -> str:
    """Tag of a chart version: `+` cannot stand in a tag, and Helm writes `_` for it."""
    return version.replace("+", "_")


def _fits(name: str) -> bool:
    return len(name) <= MAX_REPOSITORY_NAME and _REPOSITORY.fullmatch(name) is not None


def _shortened(name: str, original: str) -> str:
    digest = hashlib.sha256(original.encode()).hexdigest()[:_HASH_LENGTH]
    segments = (_clean(segment) for segment in name.split("/"))
    cleaned = "/".join(segment for segment in segments if segment)
    return f"{cleaned[: MAX_REPOSITORY_NAME - _HASH_LENGTH - 1].rstrip('._-/')}-{digest}"


def _clean(segment: str) -> str:
    allowed = re.sub(r"[^a-z0-9._-]", "-", segment.lower())
    return re.sub(r"[._-]{2,}", "-", allowed).strip("._-")
