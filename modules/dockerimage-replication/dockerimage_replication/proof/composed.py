"""Images whose reference stands in parts: `{registry, repository, tag, digest}` and the like."""

from collections.abc import Mapping

from .keys import names_image
from .registries import has_version, parsed

_REGISTRIES = ("registry", "imageRegistry")
_TAGS = ("tag", "imageTag")
_DIGESTS = ("digest", "imageDigest", "sha")
_SHA256 = 64  # hexadecimal digits


def composed(mapping: Mapping[str, object], key: str) -> tuple[str, str] | None:
    """The reference that a mapping's parts make, and the key of its repository.

    None when the mapping is no image: a Git repository with a tag, say, or one with `image` alone.

    Args:
        mapping: a part of an object.
        key: the key that it stands at.
    """
    registry = _text(mapping, _REGISTRIES)
    tag, digest = _text(mapping, _TAGS), _text(mapping, _DIGESTS)
    is_image = names_image(key)
    for name in ("repository", "image", "name"):
        repository = _text(mapping, (name,))
        if not repository or not (registry or tag or digest or (is_image and name == "repository")):
            continue
        if name == "name" and not (is_image and tag):
            continue
        text = _joined(registry, repository, tag, digest)
        return (text, name) if parsed(text) else None
    return None


def _joined(registry: str, repository: str, tag: str, digest: str) -> str:
    prefix = registry.rstrip("/")
    text = f"{prefix}/{repository}" if prefix and not repository.startswith(f"{prefix}/") else repository
    if has_version(text):
        return text
    if len(digest) == _SHA256:
        digest = f"sha256:{digest}"
    return f"{text}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"


def _text(mapping: Mapping[str, object], names: tuple[str, ...]) -> str:
    """The first of these keys that has a text."""
    found = (mapping.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value not in ("", "null", "~")), "")
