"""What the name of a key, flag or variable says about its value."""

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAMES = frozenset({"name", "ref", "reference", "uri", "url"})
# What comes after "image" when the value is something about an image.
_ABOUT = frozenset(
    [
        "arch",
        "builder",
        "cache",
        "credentials",
        "digest",
        "gc",
        "id",
        "mirror",
        "os",
        "pattern",
        "platform",
        "policy",
        "prefix",
        "pull",
        "registry",
        "rule",
        "rules",
        "scan",
        "scanner",
        "secret",
        "secrets",
        "sha",
        "signature",
        "size",
        "suffix",
        "tag",
        "update",
        "version",
        "webhook",
    ]
)


def words(key: str) -> list[str]:
    """The words of a key: `--initImage`, `init_image` and `INIT-IMAGE` are `init`, `image`."""
    return [word.lower() for word in _WORD.findall(key)]


def names_image(key: str) -> bool:
    """Whether the value is an image: `image`, `initImage`, `--sidecar-image`, `imageName`."""
    found = words(key)
    if found[-1:] == ["image"]:
        return True
    return len(found) > 1 and found[-2] == "image" and found[-1] in _NAMES


def names_images(key: str) -> bool:
    """Whether the value is a list of images."""
    return words(key)[-1:] == ["images"]


def names_repository(key: str) -> bool:
    """Whether the value is an image without its tag: `imageRepository`, `--prometheus-base-image`."""
    return tuple(words(key)[-2:]) in (("image", "repository"), ("image", "repo"), ("base", "image"))


def mentions_image(key: str) -> bool:
    """Whether the value may be an image: `RELATED_IMAGE_NODE`, but not `IMAGE_PULL_POLICY`."""
    found = words(key)
    return "image" in found and not _ABOUT.intersection(found[found.index("image") + 1 :])


def names_registry(key: str) -> bool:
    """Whether the value is a registry: `registry`, `imageRegistry`, `--registry`."""
    return words(key)[-1:] == ["registry"]
