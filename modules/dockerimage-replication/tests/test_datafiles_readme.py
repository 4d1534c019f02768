"""README-DATAFILES.md: it explains every key, and its examples are valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerimage_replication import schema
from dockerimage_replication.schema import DefaultFile, Entry, VersionFile
from pydantic import ValidationError

README = Path(__file__).parents[1] / "README-DATAFILES.md"
TEXT = README.read_text("utf-8")


def keys() -> set[str]:
    """Every key that a data file can have."""
    shapes = [item for item in vars(schema).values() if isinstance(item, type) and issubclass(item, Entry)]
    return {name for shape in shapes for name in shape.model_fields}


def examples() -> Iterator[dict[str, Any]]:
    """The YAML in it that is a data file, and not part of a manifest."""
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL):
        content = yaml.safe_load(block)
        if not content.keys() & {"dataFiles", "parameters"}:
            yield content


@pytest.mark.parametrize("key", sorted(keys()))
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"^\|[^|]*`{key}(`|\.<)", TEXT, re.MULTILINE), "no row of a table begins with it"


def test_every_example_is_valid_in_one_of_the_files() -> None:
    found = list(examples())
    assert len(found) > 5
    for content in found:
        try:
            DefaultFile.model_validate(content)
        except ValidationError:
            VersionFile.model_validate(content)
