"""Parameters: defaults, the forms that a manifest may use, and one message for everything that is wrong."""

from pathlib import Path

import pytest
from kvdi_desktops import catalogue
from kvdi_desktops.settings import Parameters
from kvdi_desktops.shared.errors import ParameterError
from kvdi_desktops.shared.settings import load
from kvdi_support import PREFIX, set_environment, write_catalogue

IMAGES = Path(__file__).resolve().parent.parent / "images"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deployment with a small catalogue, and without any parameter but the images of that."""
    set_environment(monkeypatch)
    write_catalogue(tmp_path / "images")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "images")


def parameters() -> Parameters:
    return load(Parameters)[1]


def message(monkeypatch: pytest.MonkeyPatch, **given: str) -> str:
    """What is said about these parameters."""
    for name, value in given.items():
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    with pytest.raises(ParameterError) as raised:
        load(Parameters)
    assert raised.value.exit_status == 2
    return str(raised.value)


def test_without_parameters_both_families_of_one_desktop_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FOLDER", IMAGES)
    monkeypatch.delenv(f"{PREFIX}IMAGES")

    assert {image.name for image in parameters().selected} == {
        "debian-supervisord-base",
        "debian-supervisord-xfce4",
        "debian-systemd-base",
        "debian-systemd-xfce4",
    }


def test_without_parameters_the_documented_defaults_hold() -> None:
    assert parameters().repository_prefix("idf") == "idf-kvdi-desktops"
    assert parameters().os_packages_mirror is None
    assert parameters().retention_type == "RETAIN"


@pytest.mark.parametrize(
    "value",
    [
        '["debian-systemd-base", "debian-supervisord-base"]',
        "debian-systemd-base, debian-supervisord-base",
        "debian-systemd-base\ndebian-supervisord-base\n",
        "debian-*-base",
    ],
)
def test_images_are_a_list_or_text(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(f"{PREFIX}IMAGES", value)

    assert {image.name for image in parameters().selected} == {
        "debian-systemd-base",
        "debian-supervisord-base",
    }


def test_an_unknown_image_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    said = message(monkeypatch, images="debian-systemd-ofice")

    assert "manifest parameter `images`" in said
    assert "`debian-systemd-ofice`; did you mean `debian-systemd-office`?" in said


@pytest.mark.parametrize("value", ["[]", '[""]', "[1]", "[", ",", '{"a": 1}'])
def test_images_that_are_no_names_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "manifest parameter `images`" in message(monkeypatch, images=value)


@pytest.mark.parametrize("value", ["Upper", "a", "ends/", "-x", "a" * 257])
def test_a_prefix_is_checked_as_ecr_does(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "manifest parameter `ecr-repository-prefix`" in message(monkeypatch, ecr_repository_prefix=value)


@pytest.mark.parametrize("system", ["debian", "ubuntu", "arch"])
def test_a_base_is_an_image_reference_and_no_option(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    said = message(monkeypatch, **{f"{system}_base_image": "--pull=always"})

    assert f"manifest parameter `{system}-base-image`" in said


def test_a_mirror_is_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}OS_PACKAGES_MIRROR", "https://mirror.example.com:8443/os/")

    assert parameters().os_packages_mirror == "https://mirror.example.com:8443/os"


@pytest.mark.parametrize(
    "value",
    [
        "mirror.example.com",
        "ftp://mirror.example.com",
        "https://user:word@mirror.example.com",
        "https://mirror.example.com/$(id)",
        "https://mirror.example.com/a b",
        "https://mirror.example.com:port",
        "https://[",
    ],
)
def test_a_mirror_that_cannot_be_one_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    said = message(monkeypatch, os_packages_mirror=value)

    assert "manifest parameter `os-packages-mirror`" in said
    assert value not in said


def test_all_problems_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = message(monkeypatch, images="nothing", retention_type="KEEP", imagse="all")

    assert "`images`" in said
    assert "`retention-type`" in said
    assert "`imagse`: this module has no such parameter; did you mean `images`?" in said
