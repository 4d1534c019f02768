"""Variables, as the Dockerfile reference has them."""

import pytest
from image_builder.layers.expand import expand

VALUES = {"A": "1", "EMPTY": "", "PATH": "/bin"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "1"),
        ("${A}b", "1b"),
        ("$Ab", ""),
        ("$PATH:/x", "/bin:/x"),
        ("${NONE:-x y}", "x y"),
        ("${EMPTY:-x}", "x"),
        ("${A:-x}", "1"),
        ("${A:+x}", "x"),
        ("${NONE:+x}", ""),
        ("\\$A", "$A"),
        ("\\\\$A", "\\$A"),
        ("$", "$"),
        ("5$ and $1", "5$ and $1"),
        ("no variable", "no variable"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected
