"""YAML from the network, read with libyaml where it is there, because indexes are long.

libyaml's loaders build trees recursively in C: a few kilobytes of `[` end the whole process. Its
events do not, so depth is limited on the events.
"""

from collections.abc import Iterator

import yaml

MAX_NESTING = 100  # mappings and lists inside each other; charts have about ten

_EVENTS = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_VALUES = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class UntrustedYamlError(Exception):
    """A text is not YAML, or nests too deep."""


def load_values(raw: bytes, *, aliases: bool) -> object:
    """Plain values, as Helm reads them; None for an empty document.

    Args:
        raw: the text.
        aliases: whether parts may stand for others; whoever writes such a tree out again expands
            them, and a small text becomes an endless one.

    Raises:
        UntrustedYamlError: the text is not YAML, nests too deep, or has aliases that it may not have.
    """
    for event in _events(raw):
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise UntrustedYamlError(f"the alias *{event.anchor} cannot stand here")
    try:
        return yaml.load(raw, _VALUES)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:
        raise UntrustedYamlError(str(error)) from None


def load_texts(raw: bytes) -> object:
    """Mappings, lists and texts: no scalar turns into a number, and a version stays what it is.

    Built from events, which takes a fifth of the time of a loader.

    Raises:
        UntrustedYamlError: the text is not YAML, or nests too deep.
    """
    builder = _Builder()
    for event in _events(raw):
        builder.take(event)
    return builder.result


def load_documents(raw: bytes) -> list[object]:
    """Every document of a stream, each as `load_texts` builds it.

    Raises:
        UntrustedYamlError: the text is not YAML, or nests too deep.
    """
    documents: list[object] = []
    builder = _Builder()
    for event in _events(raw):
        builder.take(event)
        if isinstance(event, yaml.DocumentEndEvent):
            documents.append(builder.result)
            builder = _Builder()
    return documents


def _events(raw: bytes) -> Iterator[yaml.Event]:
    depth = 0
    try:
        for event in yaml.parse(raw, _EVENTS):
            if isinstance(event, _OPENING):
                depth += 1
                if depth > MAX_NESTING:
                    raise UntrustedYamlError(f"it nests deeper than {MAX_NESTING}")
            elif isinstance(event, _CLOSING):
                depth -= 1
            yield event
    except (yaml.YAMLError, ValueError) as error:
        raise UntrustedYamlError(str(error)) from None


class _Builder:
    """Builds a tree from events, without recursion."""

    def __init__(self) -> None:
        self.result: object = None
        self._open: list[dict[str, object] | list[object]] = []
        self._keys: list[str | None] = []  # of the open mappings: the key that waits for its value
        self._anchors: dict[str, object] = {}

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(event.value, event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._anchors.get(str(event.anchor)), None)
        elif isinstance(event, _OPENING):
            branch: dict[str, object] | list[object] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._add(branch, event.anchor)
            self._open.append(branch)
            self._keys.append(None)
        elif isinstance(event, _CLOSING):
            self._open.pop()
            self._keys.pop()

    def _add(self, value: object, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value
        if not self._open:
            self.result = value
        elif isinstance(self._open[-1], list):
            self._open[-1].append(value)
        elif self._keys[-1] is not None:
            self._open[-1][self._keys[-1]] = value
            self._keys[-1] = None
        elif isinstance(value, str):
            self._keys[-1] = value
        else:
            raise UntrustedYamlError("a key is not a text")
