"""YAML that others wrote."""

from collections.abc import Callable
from functools import partial

import pytest
import yaml
from dockerimage_replication.charts.untrusted_yaml import UntrustedYamlError, load_texts, load_values
from hypothesis import given
from hypothesis import strategies as st

_trees = st.recursive(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x85\xa0")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_trees)
def test_texts_come_back_as_they_were_written(tree: object) -> None:
    assert load_texts(yaml.safe_dump(tree, allow_unicode=True).encode()) == tree


def test_a_version_stays_a_text() -> None:
    assert load_texts(b"- 1.10\n- 2024-01-01\n- yes") == ["1.10", "2024-01-01", "yes"]


def test_aliases_stand_for_what_they_name() -> None:
    assert load_texts(b"a: &x {b: c}\nd: *x") == {"a": {"b": "c"}, "d": {"b": "c"}}


@pytest.mark.parametrize("load", [load_texts, partial(load_values, aliases=True)])
@pytest.mark.parametrize("text", [b"[" * 100_000, b"- " * 100_000, b"{a: " * 1000, b"a: [", b"\xff\xfe\xfd"])
def test_what_is_no_yaml_or_too_deep_is_an_error(load: Callable[[bytes], object], text: bytes) -> None:
    with pytest.raises(UntrustedYamlError):
        load(text)


def test_a_key_has_to_be_a_text() -> None:
    with pytest.raises(UntrustedYamlError, match="a key is not a text"):
        load_texts(b"{[a]: b}")


def test_aliases_are_refused_where_the_tree_is_written_out_again() -> None:
    with pytest.raises(UntrustedYamlError, match="alias"):
        load_values(b"a: &x {b: c}\nd: *x", aliases=False)
    assert load_values(b"a: &x {b: 1}\nd: *x", aliases=True) == {"a": {"b": 1}, "d": {"b": 1}}
