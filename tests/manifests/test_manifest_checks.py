"""The checks of manifests find what they are there to find."""

from pathlib import Path

import pytest
from support import manifest_checks
from support.manifest_checks import Declared
from support.manifests import ModuleUse

DECLARED = Declared(frozenset({"needed"}), frozenset({"optional"}), frozenset({"Uri"}))


def use(group_index: int, path: str = "modules/x", **document: object) -> ModuleUse:
    """A module `m` in the group `g<index>`."""
    whole = {"name": "m", "path": path, **document}
    return ModuleUse("d", f"g{group_index}", group_index, whole)


def taking(group: str, key: str) -> list[dict[str, object]]:
    """Parameters with one reference."""
    return [{"name": "uri", "valueFrom": {"moduleMetadata": {"group": group, "name": "m", "key": key}}}]


@pytest.mark.parametrize(
    ("group", "key", "problem"),
    [
        ("g9", "Uri", "which the deployment does not have"),
        ("g1", "Uri", "which is not deployed before it"),
        ("g2", "Uri", "which is not deployed before it"),
        ("g0", "Url", "which has no output Url"),
    ],
)
def test_a_reference_to_nothing_is_found(group: str, key: str, problem: str) -> None:
    uses = [use(0), use(1, parameters=taking(group, key)), use(2)]

    found = manifest_checks.reference_problems(uses, lambda path: DECLARED)

    assert found == [f"d/g1/m: uri refers to {group}/m, {problem}"]


def test_a_reference_to_an_output_of_an_earlier_module_is_fine() -> None:
    uses = [use(0), use(1, parameters=taking("g0", "Uri"))]

    assert manifest_checks.reference_problems(uses, lambda path: DECLARED) == []


def test_an_unknown_and_a_missing_parameter_are_found() -> None:
    uses = [use(0, parameters=[{"name": "opional", "value": 1}])]

    assert manifest_checks.parameter_problems(uses, lambda path: DECLARED) == [
        "d/g0/m: the module has no parameter opional",
        "d/g0/m: needed is required and not given",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "git::https://example.com/repository//modules/x?ref=v1",
        "git::https://example.com/repository.git/modules/x?ref=v1",
        "git::https://example.com/repository.git//modules/x",
    ],
)
def test_a_git_reference_that_seedfarmer_misreads_is_found(path: str) -> None:
    assert len(manifest_checks.path_problems([use(0, path)])) == 1


def test_a_missing_module_and_data_file_are_found(tmp_path: Path) -> None:
    uses = [use(0, dataFiles=[{"filePath": "data/x.yaml"}])]

    assert manifest_checks.path_problems(uses, tmp_path) == [
        "d/g0/m: there is no module at modules/x",
        "d/g0/m: there is no data file data/x.yaml",
    ]


def test_a_public_module_of_another_release_is_not_guessed() -> None:
    path = "git::https://github.com/awslabs/idf-modules.git//modules/compute/eks?ref=release/0.0.1"

    with pytest.raises(ValueError, match="says nothing of"):
        manifest_checks.declared(path)
