"""The catalogue: names, what is built on what, in which order, and what is wrong with a description."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from kvdi_desktops.catalogue import Catalogue
from kvdi_desktops.shared.errors import UserError

BOTH = ["supervisord", "systemd"]
ELSEWHERE = {"arch": {"families": BOTH, "state": "linted"}}


def write(folder: Path, name: str, systems: Mapping[str, list[str]], **more: object) -> None:
    """A desktop's description, as a `desktop.yaml` has it."""
    entries = {system: {"families": families, "state": "linted"} for system, families in systems.items()}
    content = {"title": name, "description": f"the desktop {name}", "systems": entries, **more}
    (folder / name).mkdir()
    (folder / name / "desktop.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`apps` on `window`, which stands on `zero`: the alphabet is against the order of the builds."""
    write(tmp_path, "zero", {"debian": BOTH, "arch": ["systemd"]})
    write(tmp_path, "window", {"debian": BOTH}, parent="zero", sound=False)
    write(tmp_path, "apps", {"debian": ["supervisord"]}, parent="window", capabilities=["SYS_NICE"])
    (tmp_path / "parts").mkdir()
    return tmp_path


def names(folder: Path, *wanted: str) -> list[str]:
    return [image.name for image in Catalogue.load(folder).select(wanted)]


def test_an_image_is_named_after_system_family_and_desktop(folder: Path) -> None:
    assert set(Catalogue.load(folder).images) == {
        "debian-supervisord-zero",
        "debian-systemd-zero",
        "arch-systemd-zero",
        "debian-supervisord-window",
        "debian-systemd-window",
        "debian-supervisord-apps",
    }


def test_an_image_brings_what_it_stands_on_before_it(folder: Path) -> None:
    assert names(folder, "debian-supervisord-apps") == [
        "debian-supervisord-zero",
        "debian-supervisord-window",
        "debian-supervisord-apps",
    ]


def test_an_image_stands_on_the_same_system_and_family(folder: Path) -> None:
    images = Catalogue.load(folder).images

    assert images["debian-systemd-window"].parent == "debian-systemd-zero"
    assert images["arch-systemd-zero"].parent is None


@pytest.mark.parametrize(
    ("wanted", "count"), [("*", 6), ("debian-*", 5), ("*-systemd-*", 3), ("arch-systemd-zero", 1)]
)
def test_a_pattern_stands_for_every_name_that_it_fits(folder: Path, wanted: str, count: int) -> None:
    assert len(names(folder, wanted)) == count


def test_an_image_that_is_wanted_twice_is_built_once(folder: Path) -> None:
    assert names(folder, "debian-systemd-window", "debian-systemd-*") == [
        "debian-systemd-zero",
        "debian-systemd-window",
    ]


def test_an_unknown_name_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no image `debian-systemd-windows`; did you mean `debian-systemd-w"):
        names(folder, "debian-systemd-windows")


def test_every_unknown_name_is_in_the_message(folder: Path) -> None:
    with pytest.raises(UserError) as raised:
        names(folder, "debian-systemd-zero", "gentoo", "hurd-*")

    assert "`gentoo`" in str(raised.value)
    assert "`hurd-*`" in str(raised.value)
    assert "there are: " in str(raised.value)


def test_systemd_asks_for_one_capability_and_supervisord_for_none(folder: Path) -> None:
    images = Catalogue.load(folder).images

    assert images["debian-supervisord-window"].capabilities == ()
    assert images["debian-systemd-window"].capabilities == ("SYS_ADMIN",)
    assert images["debian-supervisord-apps"].capabilities == ("SYS_NICE",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "bad/desktop.yaml does not describe a desktop: titel: Extra inputs"),
        ({"title": ""}, "title: "),
        ({"systems": {}}, "systems: "),
        ({"systems": {"hurd": {"families": BOTH, "state": "linted"}}}, "systems.hurd.[key]: "),
        ({"systems": {"debian": {"families": ["openrc"], "state": "linted"}}}, "systems.debian.families.0: "),
        ({"systems": {"debian": {"families": BOTH, "state": "perfect"}}}, "systems.debian.state: "),
        ({"parent": "nothing"}, "bad/desktop.yaml: its parent `nothing` is no folder"),
        ({"parent": "bad"}, "bad/desktop.yaml: `bad` is its own parent"),
        (
            {"parent": "zero", "systems": {"arch": {"families": BOTH, "state": "linted"}}},
            "`zero` does not exist on arch",
        ),
    ],
)
def test_a_description_that_is_wrong_is_named(folder: Path, changes: dict[str, object], message: str) -> None:
    write(folder, "bad", {"debian": BOTH})
    file = folder / "bad" / "desktop.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))

    with pytest.raises(UserError) as raised:
        Catalogue.load(folder)

    assert message in str(raised.value)


def test_a_description_that_is_no_yaml_is_named(folder: Path) -> None:
    (folder / "zero" / "desktop.yaml").write_text("title: [")

    with pytest.raises(UserError, match=r"zero/desktop\.yaml is not YAML"):
        Catalogue.load(folder)
