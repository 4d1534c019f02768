"""Every desktop's folder has what its `desktop.yaml` promises."""

import configparser
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from kvdi_desktop import display
from kvdi_desktops.catalogue import Catalogue, Image

IMAGES = Path(__file__).resolve().parents[2] / "images"
CATALOGUE = Catalogue.load(IMAGES)
DESKTOPS = sorted(CATALOGUE.desktops)
CHILDREN = [name for name in DESKTOPS if name != "base"]
# How long a VNC server waits for its display at most (display.wait_until_free): its last look at two sockets
# may take a second each, and the start of Python takes its time on a busy machine.
ATTEMPT_SECONDS = display.START_SECONDS + 1 + 2 + 3
ENDINGS = {"supervisord": ".conf", "systemd": ".service"}


@pytest.mark.parametrize("image", CATALOGUE.images.values(), ids=lambda image: image.name)
def test_an_image_has_packages_and_processes(image: Image) -> None:
    folder = IMAGES / image.desktop

    assert (folder / "packages" / f"{image.system}.txt").read_text().strip()
    assert list((folder / "processes").glob(f"*{ENDINGS[image.family]}"))


@pytest.mark.parametrize("desktop", DESKTOPS)
def test_a_desktop_is_described(desktop: str) -> None:
    text = (IMAGES / desktop / "README.md").read_text()

    assert text.startswith(f"# {CATALOGUE.desktops[desktop].title}\n")


@pytest.mark.parametrize("desktop", DESKTOPS)
def test_processes_of_supervisord_are_restarted_and_logged(desktop: str) -> None:
    for file in (IMAGES / desktop / "processes").glob("*.conf"):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(file)
        (section,) = parser.sections()

        assert section == f"program:{file.stem}"
        assert parser[section]["autorestart"] in ("true", "unexpected")
        assert parser[section]["stdout_logfile"] == "/dev/fd/1"
        assert parser[section]["stdout_logfile_maxbytes"] == "0"


@pytest.mark.parametrize("desktop", DESKTOPS)
def test_units_of_systemd_are_restarted_and_enabled(desktop: str) -> None:
    for file in (IMAGES / desktop / "processes").glob("*.service"):
        text = file.read_text()

        assert re.search(r"^Restart=(always|on-failure)$", text, re.MULTILINE)
        assert "WantedBy=default.target" in text


def test_a_server_that_never_gets_its_display_is_given_up_by_supervisord() -> None:
    """An attempt that lasts longer than `startsecs` counts as a start, and their count begins anew."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(IMAGES / "base" / "processes" / "vnc.conf")

    assert parser["program:vnc"].getint("startsecs", fallback=1) >= ATTEMPT_SECONDS


def test_a_server_that_never_gets_its_display_is_given_up_by_systemd() -> None:
    """All attempts of the burst have to lie in the interval; only then does the container end."""
    unit = (IMAGES / "base" / "processes" / "kvdi-vnc.service").read_text()
    defaults = (IMAGES / "parts" / "families" / "systemd" / "user-manager.conf").read_text()
    pause = seconds_of("RestartSec", unit)
    burst = re.search(r"^DefaultStartLimitBurst=(\d+)$", defaults, re.MULTILINE)
    assert burst

    assert seconds_of("StartLimitIntervalSec", unit) >= int(burst[1]) * (ATTEMPT_SECONDS + pause)


def seconds_of(setting: str, unit: str) -> int:
    """The setting's value; 0 where the unit does not have it."""
    found = re.search(rf"^{setting}=(\d+)s$", unit, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("desktop", CHILDREN)
def test_the_supervisord_family_gives_root_up(desktop: str) -> None:
    text = (IMAGES / desktop / "Dockerfile").read_text()

    assert re.search(r"^FROM installed AS supervisord\nUSER 9000:9000$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "file", sorted(IMAGES.glob("*/files/**/*.xml")), ids=lambda file: str(file.relative_to(IMAGES))
)
def test_settings_are_well_formed(file: Path) -> None:
    ElementTree.fromstring(file.read_text())  # noqa: S314 - our own files


def test_the_bill_of_materials_names_every_package() -> None:
    sys.path.insert(0, str(IMAGES / "parts"))
    import sbom

    listed = "libc6\t2.36-9\tamd64\nlibstdc++6\t12.2.0-14\tamd64\n"
    document = sbom.document(listed, "debian", "12")

    packages = document["packages"]
    assert isinstance(packages, list)
    assert [(package["name"], package["versionInfo"]) for package in packages] == [
        ("libc6", "2.36-9"),
        ("libstdc++6", "12.2.0-14"),
    ]
    assert sbom.document(listed, "debian", "12") == document
