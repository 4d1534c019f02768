"""The images that rendered manifests name."""

import re
from collections.abc import Iterator, Mapping

import yaml

from .errors import ChartFactsError

# A reference in an argument or annotation; there, only one with a registry's host is surely an image.
_REFERENCE = re.compile(
    r"(?:^|[=\s\"'])((?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?/[a-z0-9._/-]+:[\w][\w.-]{0,127}(?:@sha256:[0-9a-f]{64})?)"
    r"(?=$|[\s\"',])"
)


def images(manifests: str) -> list[str]:
    """References in what `helm template` printed, as they stand there: sorted, each once.

    They are the values of every key `image`, and whatever looks like a reference with a registry's host
    in the other texts of one line: operators get the images of their workloads as arguments.

    Raises:
        ChartFactsError: it is not YAML.
    """
    try:
        documents = list(yaml.safe_load_all(manifests))
    except yaml.YAMLError as error:
        raise ChartFactsError(f"what was rendered is not YAML: {error}") from None
    return sorted({image for document in documents for image in _images("", document)})


def _images(key: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _images(str(name), item)
    elif isinstance(value, list):
        for item in value:
            yield from _images("", item)
    elif isinstance(value, str) and value and key == "image":
        yield value
    elif isinstance(value, str) and "\n" not in value.strip():
        yield from _REFERENCE.findall(value)
