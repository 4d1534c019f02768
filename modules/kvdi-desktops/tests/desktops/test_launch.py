"""The emulator launches as the managers' source says (see `scripts/desktops/launch.py`)."""

from pathlib import Path

import pytest
from desktops import catalogue
from desktops.launch import Family, Generation, Launch
from kvdi_desktops.catalogue import Catalogue


def launch(**changes: object) -> Launch:
    return Launch("image", Family.SUPERVISORD, **changes)  # type: ignore[arg-type]


def test_the_manager_of_2020_sets_two_variables_and_no_user() -> None:
    found = launch(generation=Generation.OF_2020)

    assert found.variables() == {"USER": "ada", "VNC_SOCK_ADDR": "/var/run/kvdi/vnc.sock"}
    assert not [option for option in found.arguments(Path("/v")) if option.startswith("--user")]


def test_the_manager_of_2021_sets_user_and_home() -> None:
    found = launch()

    assert found.variables() == {
        "USER": "ada",
        "UID": "9000",
        "HOME": "/home/ada",
        "DISPLAY_SOCK_ADDR": "/var/run/kvdi/display.sock",
    }
    assert {"--user=9000:0", "--group-add=9000"} <= set(found.arguments(Path("/v")))


def test_the_volumes_are_those_of_the_manager() -> None:
    assert launch().volumes() == {
        "run": "/run",
        "run-lock": "/run/lock",
        "tmp": "/tmp",
        "home": "/home/ada",
        "vnc-sock": "/var/run/kvdi",
    }


@pytest.mark.parametrize("display", ["/tmp/vnc.sock", "127.0.0.1:5900"])
def test_a_socket_in_tmp_and_a_port_have_no_volume_of_their_own(display: str) -> None:
    assert "vnc-sock" not in launch(display=display).volumes()


def test_systemd_gets_sys_admin_and_nothing_more() -> None:
    options = Launch("image", Family.SYSTEMD, restricted=True).arguments(Path("/v"))

    assert [option for option in options if "cap" in option or "privileged" in option] == [
        "--cap-add=SYS_ADMIN"
    ]
    assert "--user=0:0" in options


def test_restricted_means_no_capability_no_privileges_and_a_read_only_root() -> None:
    options = launch(restricted=True).arguments(Path("/v"))

    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(options)


def test_the_images_are_those_of_the_modules_catalogue() -> None:
    ours = {(image.name, image.parent_name, image.tested) for image in catalogue.load().values()}
    modules = {
        (image.name, image.parent, image.state == "tested")
        for image in Catalogue.load(catalogue.FOLDER).images.values()
    }

    assert ours == modules
