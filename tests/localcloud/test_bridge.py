"""Each docker daemon has a network of its own, also when several clouds start at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud import bridge

CLOUDS = 6
SCRIPTS = Path(bridge.__file__).parents[1]

pytestmark = pytest.mark.engine


@pytest.fixture
def states(tmp_path: Path) -> Iterator[list[Path]]:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("iptables"):
        pytest.skip("bridges are made by root, with the programs ip and iptables")
    folders = [tmp_path / f"cloud{number}" for number in range(CLOUDS)]
    yield folders
    for folder in folders:
        bridge.remove_bridge(folder)


def test_clouds_that_start_at_once_have_different_networks(states: list[Path]) -> None:
    program = "import sys, pathlib; from localcloud.bridge import ensure_bridge; sys.stdin.read(); "
    program += "print(ensure_bridge(pathlib.Path(sys.argv[1])))"
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        for state in states
    ]
    for start in starts:  # all are loaded: their input's end lets them go
        assert start.stdin is not None
        start.stdin.close()
    names = [start.stdout.read().strip() for start in starts if start.stdout]

    assert [start.wait() for start in starts] == [0] * CLOUDS
    assert names == [bridge.name_for(state) for state in states]
    assert len({network_of(name) for name in names}) == CLOUDS


def test_a_bridge_that_is_there_stays(states: list[Path]) -> None:
    name = bridge.ensure_bridge(states[0])
    before = network_of(name)

    assert bridge.ensure_bridge(states[0]) == name
    assert network_of(name) == before


def test_a_bridge_that_is_down_keeps_its_network_and_is_set_up(states: list[Path]) -> None:
    name = bridge.ensure_bridge(states[0])
    subprocess.run(["ip", "link", "set", name, "down"], check=True)

    assert network_of(bridge.ensure_bridge(states[1])) != network_of(name)
    bridge.ensure_bridge(states[0])
    assert "UP" in flags_of(name)


def flags_of(name: str) -> list[str]:
    command = ["ip", "-oneline", "link", "show", "dev", name]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return shown.partition("<")[2].partition(">")[0].split(",")


def network_of(name: str) -> str:
    command = ["ip", "-oneline", "-4", "address", "show", "dev", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[3]
