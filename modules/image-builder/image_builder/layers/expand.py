"""Variables in the texts of layers, as a builder of Dockerfiles replaces them."""

from collections.abc import Mapping

from .fields import variable


def expand(text: str, values: Mapping[str, str]) -> str:
    r"""`text` with each variable replaced by its value, empty for one that is not set.

    `${NAME:-default}` and `${NAME:+alternative}` count an empty value as not set; `\$` is a dollar sign.
    """
    parts: list[str] = []
    at = 0
    while (found := _next(text, at)) is not None:
        start, end, replacement = found
        parts += [text[at:start], _value(replacement, values)]
        at = end
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
