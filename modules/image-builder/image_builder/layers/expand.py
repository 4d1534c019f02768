"""Variables in the texts of layers, as a builder of Dockerfiles replaces them."""

from collections.abc import Mapping

from .fields import MAX_TEXT, variable


class TooLongError(ValueError):
    """With its variables replaced, a text is longer than a text may be."""


def expand(text: str, values: Mapping[str, str]) -> str:
    r"""`text` with each variable replaced by its value, empty for one that is not set.

    `${NAME:-default}` and `${NAME:+alternative}` count an empty value as not set; `\$` is a dollar sign.

    Raises:
        TooLongError: it would have more than MAX_TEXT characters.
    """
    parts: list[str] = []
    at = length = 0
    while (found := _next(text, at)) is not None:
        start, end, replacement = found
        value = _value(replacement, values)
        parts += [text[at:start], value]
        length += start - at + len(value)
        if length > MAX_TEXT:
            raise TooLongError(f"has more than {MAX_TEXT} characters with its variables replaced")
        at = end
    if length + len(text) - at > MAX_TEXT:
        raise TooLongError(f"has more than {MAX_TEXT} characters with its variables replaced")
    return "".join([*parts, text[at:]])


_Variable = tuple[str, str | None, str]  # name, how, word; an empty name for a dollar sign


def _next(text: str, at: int) -> tuple[int, int, _Variable] | None:
    """Where the next variable begins and ends."""
    for start in range(at, len(text)):
        if text[start] in "\\$" and (match := variable(text, start)):
            name = match["plain"] or match["name"] or ""
            return start, match.end(), (name, match["how"], match["word"] or "")
    return None


def _value(variable: _Variable, values: Mapping[str, str]) -> str:
    name, how, word = variable
    if not name:
        return "$"
    value = values.get(name, "")
    if how == ":-":
        return value or word
    if how == ":+":
        return word if value else ""
    return value
