"""A real cluster, and services whose builds are its Jobs."""

import secrets
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "modules" / "image-builder"
for folder in (MODULE, MODULE / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from service.database_servers import DatabaseServer, postgres  # noqa: E402
from service.registries import docker_registry  # noqa: E402
from support.kube.builds import Surroundings  # noqa: E402
from support.kube.cluster import PAUSE_IMAGE, Cluster  # noqa: E402
from support.kube.fixtures import cluster  # noqa: E402, F401  a fixture
from support.kube.forward import forwarded  # noqa: E402
from support.kube.slow_source import SlowSource, slow_source  # noqa: E402
from support.kube.team import Team  # noqa: E402
from support.service_image import service_image  # noqa: E402


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def database() -> Iterator[DatabaseServer]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def surroundings(
    cluster: Cluster,  # noqa: F811
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Surroundings]:
    """What all builds share: the service's image, a registry with a base that runs, the database's server."""
    with ExitStack() as stack:
        image = stack.enter_context(service_image())
        cluster.load(image)
        registry = stack.enter_context(docker_registry(tmp_path_factory.mktemp("registry")))
        registry = stack.enter_context(forwarded(cluster.node.here, int(registry.rpartition(":")[2])))
        base = f"{registry}/base/busybox:1"
        cluster.docker("tag", PAUSE_IMAGE, base)
        cluster.docker("push", base)
        database_address = stack.enter_context(forwarded(cluster.node.here, database.port))
        yield Surroundings(cluster, image, registry, base, database, database_address)


@pytest.fixture
def source(cluster: Cluster) -> Iterator[SlowSource]:  # noqa: F811
    """A file that a build waits for as long as the test wants."""
    with slow_source(cluster.node.here) as running:
        yield running


@pytest.fixture
def team(surroundings: Surroundings, tmp_path: Path) -> Iterator[Team]:
    """A namespace, a database and an account of the test's own; replicas are started by the test."""
    team = Team(
        surroundings,
        namespace=f"team-{uuid.uuid4().hex[:8]}",
        folder=tmp_path,
        secrets={
            "DCRX_KV_SECRET_KEY": secrets.token_hex(32),
            "DCRX_KV_ENCRYPTION_KEY": secrets.token_hex(32),
        },
    )
    try:
        team.prepare()
        yield team
    finally:
        team.end()
