"""Every row of the README's feature table leads to the tests that show it."""

import ast
import re
from pathlib import Path

import pytest
from collection.modules import REPOSITORY

LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)\)")


def _rows() -> list[str]:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    (section,) = re.findall(r"^## What they do, and the tests that show it\n(.*?)^## ", text, re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return lines[2:]


def _tests_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name.startswith("test_")
    ]


def test_the_table_has_rows() -> None:
    assert _rows()


@pytest.mark.parametrize("row", _rows())
def test_a_feature_is_linked_to_files_that_hold_tests(row: str) -> None:
    _, _, feature, shown_by, _ = (cell.strip() for cell in row.split("|"))
    links = LINK.findall(shown_by)

    assert feature
    assert links, f"no test is named: {feature}"
    for link in links:
        assert _tests_in(REPOSITORY / link), f"{link} holds no test"
