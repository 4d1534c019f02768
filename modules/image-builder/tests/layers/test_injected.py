"""No text of any field of any layer makes a second instruction: the fields are those of the models."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, get_args

import pytest
from image_builder.layers.dockerfile import render
from image_builder.layers.models import AnyLayer
from image_builder.layers.request import ImageRequest
from pydantic import ValidationError

from .test_dockerfile import every_layer, parsed

HOSTILE = [
    "\nRUN evil",
    "\r\nRUN evil",
    "\rRUN evil",
    "\\\nRUN evil",
    "\n# escape=`\nRUN evil",
    " <<EOF\nRUN evil\nEOF",
    "\nEOF\nRUN evil",
    "\x00\nRUN evil",
    "\x0bRUN evil",
    "\u2028RUN evil",
    "\u0085RUN evil",
    '"\nRUN evil\n"',
    '"]\nRUN evil',
]
LAYERS = json.loads(every_layer().request().model_dump_json(exclude_none=True))["layers"]


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """Where texts are in a layer, but for the name of its type."""
    if isinstance(value, str) and path[-1] not in ("layer_type", "mount_type"):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from texts(inner, (*path, key))
    for key, inner in enumerate(value) if isinstance(value, list) else ():
        yield from texts(inner, (*path, key))


FIELDS = [(number, path) for number, layer in enumerate(LAYERS) for path in texts(layer)]


def test_every_layer_is_among_them() -> None:
    (union, *_) = get_args(AnyLayer)
    known = {layer.model_fields["layer_type"].default for layer in get_args(union)}

    assert {layer["layer_type"] for layer in LAYERS} == known


@pytest.mark.parametrize(("number", "path"), FIELDS, ids=str)
@pytest.mark.parametrize("where", ["at the beginning", "at the end", "alone"])
def test_no_text_makes_an_instruction(number: int, path: tuple[str | int, ...], where: str) -> None:
    expected = [name for name, _ in parsed(rendered(LAYERS))]
    for hostile in HOSTILE:
        layers = deepcopy(LAYERS)
        *folders, last = path
        place = layers[number]
        for key in folders:
            place = place[key]
        text = place[last]
        place[last] = {"at the beginning": hostile + text, "at the end": text + hostile}.get(where, hostile)
        try:
            dockerfile = rendered(layers)
        except ValidationError:
            continue  # refused

        assert [name for name, _ in parsed(dockerfile)] == expected, (path, hostile)


def rendered(layers: list[dict[str, Any]]) -> str:
    request = ImageRequest.model_validate({"name": "x", "layers": layers})
    return render(list(request.layers), {}, [])
