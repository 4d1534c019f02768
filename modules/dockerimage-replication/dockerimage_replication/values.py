"""Values of charts: nested mappings, addressed by dotted paths as in `--set`."""

from collections.abc import Mapping

Values = Mapping[str, object]


class ValuePathError(Exception):
    """A dotted path does not lead to where it should; the text says why, without the path itself."""


def look_up(values: Values, path: str) -> object:
    """The value at a dotted path.

    Raises:
        ValuePathError: there is none, or the path leads through something that has no keys.
    """
    found: object = values
    walked: list[str] = []
    for key in path.split("."):
        if isinstance(found, list):
            raise ValuePathError(
                f"leads through the list `{'.'.join(walked)}`, which overrides cannot reach into"
            )
        if not isinstance(found, Mapping) or key not in found:
            raise ValuePathError("does not exist")
        found = found[key]
        walked.append(key)
    return found


def text_at(values: Values, path: str) -> str:
    """The scalar at a dotted path, as a chart prints it; empty when it is null.

    Raises:
        ValuePathError: there is none, or it is a mapping or a list.
    """
    found = look_up(values, path)
    if isinstance(found, Mapping | list):
        raise ValuePathError(f"is a {'list' if isinstance(found, list) else 'mapping'} and not a text")
    try:
        return "" if found is None else str(found)
    except ValueError:  # Python prints no number of more than 4300 digits
        raise ValuePathError("is a number that is too long") from None


def assign(tree: dict[str, object], path: str, value: str) -> None:
    """Set a path in `tree`, making the mappings on the way.

    Raises:
        ValuePathError: another value is there already, or stands on the way.
    """
    *folders, last = path.split(".")
    for key in folders:
        branch = tree.setdefault(key, {})
        if not isinstance(branch, dict):
            raise ValuePathError("leads through a value that another image sets")
        tree = branch
    if tree.setdefault(last, value) != value:
        raise ValuePathError(f"is set to `{value}` here and to something else by another image")


def merged(below: Values, above: Values) -> dict[str, object]:
    """The values of both in a new tree; where they meet, mappings are merged and `above` wins.

    Parts that do not meet are shared with the arguments and not copied: no values are ever changed,
    and copies of a hostile chart's YAML aliases would grow without bound.
    """
    result: dict[str, object] = {**below, **above}
    for key in below.keys() & above.keys():
        beneath, value = below[key], above[key]
        if isinstance(beneath, Mapping) and isinstance(value, Mapping):
            result[key] = merged(beneath, value)
    return result
