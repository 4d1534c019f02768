"""Where the VNC server listens, as each generation of the manager says it."""

from pathlib import Path

import pytest
from kvdi_desktop.address import TcpAddress, UnixAddress, from_environment
from kvdi_desktop.errors import ParameterError


def test_the_newer_managers_variable_wins() -> None:
    both = {"DISPLAY_SOCK_ADDR": "/run/new/display.sock", "VNC_SOCK_ADDR": "/run/old/vnc.sock"}

    assert from_environment(both) == UnixAddress(Path("/run/new/display.sock"))


def test_the_older_managers_variable_is_enough() -> None:
    assert from_environment({"VNC_SOCK_ADDR": "/run/vnc.sock"}) == UnixAddress(Path("/run/vnc.sock"))


def test_without_a_variable_it_is_the_newer_managers_default() -> None:
    assert from_environment({"DISPLAY_SOCK_ADDR": ""}) == UnixAddress(Path("/var/run/kvdi/display.sock"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("tcp://127.0.0.1:5900", TcpAddress("127.0.0.1", 5900)),
        ("127.0.0.1:5900", TcpAddress("127.0.0.1", 5900)),
        ("tcp://localhost:5901", TcpAddress("127.0.0.1", 5901)),
        ("tcp://[::1]:5900", TcpAddress("::1", 5900)),
        ("tcp://0.0.0.0:5900", TcpAddress("", 5900)),
        (":5900", TcpAddress("", 5900)),
    ],
)
def test_every_spelling(text: str, address: UnixAddress | TcpAddress) -> None:
    assert from_environment({"DISPLAY_SOCK_ADDR": text}) == address


@pytest.mark.parametrize(
    "text",
    ["display.sock", "/run/kvdi/", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:70000",
     "tcp://desktop.example:5900", "tcp://127.0.0.1:5900x", "unix://x", "/" + "x" * 107,
     "tcp://127.0.0.1:" + "5" * 5000],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(ParameterError, match="VNC_SOCK_ADDR"):
        from_environment({"VNC_SOCK_ADDR": text})
