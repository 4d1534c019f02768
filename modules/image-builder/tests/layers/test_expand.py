"""Variables, as the Dockerfile reference has them."""

import pytest
from image_builder.layers.expand import TooLongError, expand
from image_builder.layers.fields import MAX_TEXT

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


def test_a_text_stays_as_short_as_a_text_may_be() -> None:
    values = {"A": "x" * (MAX_TEXT // 2)}

    assert len(expand("$A$A", values)) == MAX_TEXT
    for text in ("$A$A.", "$A$A$A", ".$A$A"):
        with pytest.raises(TooLongError, match=f"more than {MAX_TEXT} characters"):
            expand(text, values)
