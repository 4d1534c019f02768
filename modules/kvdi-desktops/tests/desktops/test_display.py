"""The VNC server listens where the manager says, and nowhere else."""

from collections.abc import Callable

import pytest
from desktops.launch import Family, Generation
from desktops.pod import Pod
from desktops.rfb import ResizeRefusedError

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("generation", Generation, ids=lambda generation: generation.value)
def test_both_managers_find_the_display_at_their_socket(
    launched: Callable[..., Pod], family: str, generation: Generation
) -> None:
    desktop = launched(f"debian-{family}-base", generation=generation, restricted=False)

    with desktop.connect() as client:
        picture = client.screenshot()

    assert picture.shape[2] == 3
    assert desktop.socket.is_socket()
    assert desktop.listening_ports() == set()


def test_with_a_socket_nothing_listens_on_tcp(shared: Callable[[str], Pod], family: str) -> None:
    assert shared(f"debian-{family}-base").listening_ports() == set()


@pytest.mark.parametrize("address", ["127.0.0.1:5900", "127.0.0.1:7117"])
def test_with_a_port_nothing_else_listens(launched: Callable[..., Pod], family: str, address: str) -> None:
    desktop = launched(f"debian-{family}-base", display=address)

    with desktop.connect() as client:
        client.screenshot()

    assert desktop.listening_ports() == {address}


def test_the_manager_of_2020_names_a_port_without_a_scheme(launched: Callable[..., Pod]) -> None:
    desktop = launched(
        "debian-supervisord-base",
        display="127.0.0.1:5901",
        generation=Generation.OF_2020,
        family=Family.SUPERVISORD,
    )

    with desktop.connect() as client:
        client.screenshot()

    assert desktop.listening_ports() == {"127.0.0.1:5901"}


def test_several_clients_see_the_same_desktop(shared: Callable[[str], Pod], family: str) -> None:
    desktop = shared(f"debian-{family}-base")

    with desktop.connect() as first, desktop.connect() as second:
        first.screenshot()
        second.screenshot()

        assert first.size == second.size


def test_the_size_can_be_locked(launched: Callable[..., Pod]) -> None:
    desktop = launched(
        "debian-supervisord-base", environment={"DESKTOP_RESIZE": "off", "DESKTOP_GEOMETRY": "1024x768"}
    )

    with desktop.connect() as client:
        with pytest.raises(ResizeRefusedError, match="not allowed"):
            client.resize(1280, 720)
        client.screenshot()

        assert client.size == (1024, 768)
