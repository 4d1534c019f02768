"""How large the configuration of a stage may grow."""

from collections.abc import Sequence

import pytest
from image_builder.building.assembled.assemble import assemble
from image_builder.building.assembled.runtime import Runtime
from image_builder.building.bases import Base
from image_builder.building.errors import InvalidRequestError, LimitExceededError
from image_builder.layers.dockerfile import AnyLayer
from image_builder.layers.image import Image

_EMPTY = Base(None, {})


def _applied(layers: Sequence[AnyLayer]) -> Runtime:
    runtime = Runtime(_EMPTY, {})
    for layer in layers[1:]:
        runtime.apply(layer)
    return runtime


def _image() -> Image:
    return Image("any").stage("scratch")


def test_variables_do_not_multiply() -> None:
    image = _image().env(["A"], ["x" * 60_000]).env(["A"], ["$A" * 20_000])

    with pytest.raises(InvalidRequestError, match="more than 65536 characters"):
        _applied(image.request().layers)


def test_what_layers_write_is_bounded_in_sum() -> None:
    image = _image().env(["A"], ["x" * 60_000])
    for number in range(100):
        image = image.label(f"l{number}", "$A")

    with pytest.raises(LimitExceededError, match="4194304 characters of configuration"):
        _applied(image.request().layers)


def test_ports_are_counted_before_they_are_written_out() -> None:
    every = _image().expose(["1-65535", "1-65535", "80"])
    more = _image().expose([f"1-{last}" for last in range(65_000, 65_535)])

    assert len(_applied(every.request().layers).config["ExposedPorts"]) == 65_535
    with pytest.raises(LimitExceededError, match="4194304 characters of configuration"):
        _applied(more.request().layers)


def test_a_path_stays_a_path_with_its_variables() -> None:
    image = _image().env(["A"], ["/x" * 3_000]).workdir("$A")

    with pytest.raises(InvalidRequestError, match="path of 5999 characters"):
        _applied(image.request().layers)


def test_an_image_has_no_larger_configuration_than_a_base_may_have() -> None:
    layers = [*_image().cmd(["x" * 60_000]).request().layers] * 80
    runtime = Runtime(_EMPTY, {})

    with pytest.raises(LimitExceededError, match="configuration has"):
        assemble(_EMPTY, runtime, layers, [], 0)


def test_the_history_has_no_secret_of_a_signed_url() -> None:
    layers = [_image().add("https://files/a.tar?X-Amz-Signature=secret", "/a").request().layers[1]]

    image = assemble(_EMPTY, Runtime(_EMPTY, {}), layers, [], 0)

    assert "https://files/a.tar" in image.config.decode()
    assert "secret" not in image.config.decode()
