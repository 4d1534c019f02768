"""`sync-shared` and `generate-docs`: what they write, and that `--check` only looks."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from collection import docs, shared_code
from collection.errors import CollectionError
from collection.interface import Interface, Parameter
from collection.modules import REPOSITORY
from support.checkout import SHARED, checkout, run_script

MARKERS = "<!-- parameters -->\n<!-- /parameters -->\n<!-- outputs -->\nold\n<!-- /outputs -->\n"
INTERFACE = Interface(
    parameters=(
        Parameter("kind", "kind", False, "a|b", "One of `a|b`."),
        Parameter("name", "name", True, None, "Its name."),
        Parameter("text", "text", False, "", "Free text."),
    ),
    outputs={"Uri": "Where it is."},
)


def write(folder: Path, **files: str) -> Path:
    """A folder with these Python files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_sync_makes_the_copy_equal_to_the_original(tmp_path: Path) -> None:
    original = write(tmp_path / "original", same="1", changed="new", added="2")
    copy = write(tmp_path / "copy", same="1", changed="old", left_over="3")
    assert shared_code.differences(original, copy) == ["added.py", "changed.py", "left_over.py"]

    shared_code.sync(original, copy)

    assert shared_code.differences(original, copy) == []
    assert sorted(path.name for path in copy.iterdir()) == ["added.py", "changed.py", "same.py"]


def test_check_names_what_differs_in_which_module(tmp_path: Path) -> None:
    owner = tmp_path / "modules" / "dockerimage-replication" / "dockerimage_replication"
    write(owner / "shared", ecr="1")
    write(tmp_path / "modules" / "dcv-image" / "dcv_image" / "shared", ecr="2")

    assert shared_code.check(tmp_path) == [Path("modules/dcv-image/dcv_image/shared/ecr.py")]


def test_a_module_has_a_copy_of_the_build_code_when_it_has_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    for name in ("dcv-image", "dockerimage-replication", "kvdi-desktops"):
        write(folder / name / name.replace("-", "_") / "shared", ecr="1")
    write(folder / "dcv-image" / "dcv_image" / "shared_build", engine="1")
    write(folder / "kvdi-desktops" / "kvdi_desktops" / "shared_build", engine="2")

    assert shared_code.check(tmp_path) == [Path("modules/kvdi-desktops/kvdi_desktops/shared_build/engine.py")]


def test_a_copy_without_its_original_is_not_passed_over(tmp_path: Path) -> None:
    for name in ("dockerimage-replication", "kvdi-desktops"):
        write(tmp_path / "modules" / name / name.replace("-", "_") / "shared", ecr="1")
    write(tmp_path / "modules" / "kvdi-desktops" / "kvdi_desktops" / "shared_build", engine="1")

    with pytest.raises(CollectionError, match="dcv_image/shared_build does not exist"):
        shared_code.check(tmp_path)


def test_the_tables_have_required_parameters_first_and_stay_tables() -> None:
    assert docs.filled(MARKERS, INTERFACE) == (
        "<!-- parameters -->\n"
        "| Parameter | Default | Description |\n"
        "| --- | --- | --- |\n"
        "| `name` | required | Its name. |\n"
        "| `kind` | `a\\|b` | One of `a\\|b`. |\n"
        "| `text` | none | Free text. |\n"
        "<!-- /parameters -->\n"
        "<!-- outputs -->\n"
        "| Output | Description |\n"
        "| --- | --- |\n"
        "| `Uri` | Where it is. |\n"
        "<!-- /outputs -->\n"
    )


def test_filling_twice_is_the_same_as_once() -> None:
    once = docs.filled(MARKERS, INTERFACE)

    assert docs.filled(once, INTERFACE) == once


def test_a_readme_without_markers_is_not_passed_over() -> None:
    with pytest.raises(CollectionError, match="<!-- outputs -->"):
        docs.filled("<!-- parameters -->\n<!-- /parameters -->\n", INTERFACE)


def test_sync_shared_from_difference_to_equality(tmp_path: Path) -> None:
    repository = checkout(tmp_path)
    copy = tmp_path / "modules" / "other" / "other" / "shared"
    shutil.copytree(repository / SHARED, copy)
    (copy / "ecr.py").write_text("changed")

    checked = run_script(repository, "collection.shared_code", "--check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == "differs from the original: modules/other/other/shared/ecr.py\n"
    assert (copy / "ecr.py").read_text() == "changed"

    assert run_script(repository, "collection.shared_code").returncode == 0
    assert run_script(repository, "collection.shared_code", "--check").returncode == 0


def test_generate_docs_from_stale_to_true(tmp_path: Path) -> None:
    repository = checkout(tmp_path)
    assert run_script(repository, "newmodule", "sample").returncode == 0
    shutil.rmtree(tmp_path / "modules" / "dockerimage-replication")  # has no README here
    readme = tmp_path / "modules" / "sample" / "README.md"
    written = readme.read_text()
    readme.write_text(written.replace("| `hello` |", "| `goodbye` |"))

    checked = run_script(repository, "collection.docs", "--check")
    assert checked.returncode == 1
    assert checked.stderr.endswith(": modules/sample/README.md\n")
    assert "goodbye" in readme.read_text()

    assert run_script(repository, "collection.docs").returncode == 0
    assert readme.read_text() == written


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    repository = checkout(tmp_path)
    (tmp_path / "modules" / "dockerimage-replication" / "README.md").write_text(MARKERS)

    done = run_script(repository, "collection.docs")

    assert done.returncode == 1
    assert done.stderr.startswith("error: the interface of modules/dockerimage-replication cannot be read: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["new-module", "sync-shared", "generate-docs"])
def test_every_script_has_help(script: str) -> None:
    shown = subprocess.run(
        [str(REPOSITORY / "scripts" / script), "--help"], capture_output=True, text=True, check=False
    )

    assert shown.returncode == 0
    assert f"usage: {script}" in shown.stdout


def test_the_values_of_a_chart_are_named_as_an_installation_sets_them(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("image:\n  uri: ''\nlist: []\n", encoding="utf-8")
    described = {
        "image": {"properties": {"uri": {"description": "The image."}}},
        "list": {"description": "A list."},
    }
    (tmp_path / "values.schema.json").write_text(json.dumps({"properties": described}), encoding="utf-8")

    assert docs.values_table(tmp_path).splitlines()[2:] == [
        '| `image.uri` | `""` | The image. |',
        "| `list` | `[]` | A list. |",
    ]


def test_the_images_of_a_catalogue_are_a_table(tmp_path: Path) -> None:
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "desktop.yaml").write_text(
        "title: Games\ndescription: to play\nparent: base\n"
        "systems: {debian: {families: [supervisord, systemd], state: tested}}\n"
    )

    assert docs.image_table(tmp_path).splitlines()[2:] == [
        "| `debian-supervisord-games`, `debian-systemd-games` | Games: to play | `base` | tested |"
    ]
