"""Which files of a request a source names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_builder.building.assembled.nodes import Kind, Node
from image_builder.building.assembled.sources import matching
from image_builder.building.errors import InvalidRequestError

_FILE = Node(Kind.FILE, 0o644)


def _found(names: list[str], source: str) -> list[str]:
    try:
        return matching(dict.fromkeys(names, _FILE), source, "layers[1]")
    except InvalidRequestError:
        return []


def test_many_wildcards_take_no_longer_than_few() -> None:
    """With an expression that goes back to earlier wildcards, this test never ends."""
    assert _found(["a" * 200], "*a" * 60 + "b") == []
    assert _found(["a" * 200 + "b"], "*a" * 60 + "b") == ["a" * 200 + "b"]
    assert _found(["a" * 200], "*" * 1000 + "b") == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("*.py", ["a.py", "ab.py"]),
        ("?.py", ["a.py"]),
        ("*/*", ["d/a.py", "d/e", "de/[x"]),
        ("d*", ["d"]),
        ("*e/[x", ["de/[x"]),
        ("a*b*y", ["ab.py"]),
    ],
)
def test_wildcards_stay_within_a_folder(source: str, expected: list[str]) -> None:
    assert _found(["a.py", "ab.py", "d", "d/a.py", "d/e", "de/[x"], source) == expected


@given(
    st.lists(st.text("ab/", min_size=1, max_size=8), min_size=1, unique=True),
    st.text("ab*?/", min_size=1, max_size=7),
)
def test_wildcards_name_what_a_simple_expression_names(names: list[str], source: str) -> None:
    wanted = "/".join(filter(None, source.split("/")))
    simple = re.compile(wanted.replace("*", "[^/]*").replace("?", "[^/]"))

    assert not wanted or _found(names, source) == sorted(name for name in names if simple.fullmatch(name))
