"""The services of a run: image-builder, PostgreSQL and a registry on loopback, ended with the lab."""

import http.client
import os
import pwd
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from localcloud.errors import LocalCloudError
from localcloud.layout import REPOSITORY
from localcloud.services import Services, answers

from ..replication.lab import Lab, Registry
from .client import Client

MODULE = REPOSITORY / "modules" / "image-builder"
USER = "admin"
_PROGRAM = "import sys; from image_builder.service_cli import main; sys.exit(main())"
_ORDINARY = "nobody"  # PostgreSQL refuses to run as root


@dataclass(frozen=True)
class BuildService:
    """A running image-builder.

    Attributes:
        password: of the administrator.
        log: what the service wrote.
    """

    name: str
    pid: int
    port: int
    password: str
    log: Path

    def client(self) -> Client:
        """A connection whose user is signed in."""
        return Client.signed_in(self.port, USER, self.password)

    @property
    def peak_mib(self) -> float:
        """The most memory that the process has had at a time (proc(5), VmHWM)."""
        for line in Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        raise LocalCloudError(f"the service has ended; its log is {self.log}")


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL with its default settings: every commit is on the disk when it is answered."""

    programs: Path
    port: int

    def new_database(self, name: str) -> str:
        """Make a database; its URI."""
        self.ask(f"CREATE DATABASE {name}")
        return f"postgresql+asyncpg://bench@127.0.0.1:{self.port}/{name}"

    def ask(self, statement: str, database: str = "postgres") -> str:
        """What it answers to one statement."""
        at = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", database]
        command = [str(self.programs / "psql"), *at, "-qAt", "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class BuilderLab:
    """What the parts of the benchmark run on; a context manager.

    Attributes:
        plain: registries and proxies.
        registry: where every contender pushes to.
        folder: where everything of the run lies.
    """

    def __init__(self) -> None:
        self.plain = Lab()
        self.folder = self.plain.folder
        self.folder.chmod(0o755)  # builds and PostgreSQL are other users
        self._services = Services(self.folder / "own-run", self.folder / "logs")
        self._made = 0
        self.registry: Registry

    def __enter__(self) -> "BuilderLab":
        try:
            self.registry = self.plain.registry()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._services.stop_all()
        self.plain.__exit__(kind, error, trace)

    def service(self, settings: Mapping[str, str] | None = None) -> BuildService:
        """A new service with a database of its own, on SQLite unless the settings name another."""
        self._made += 1
        name, port, password = f"image-builder-{self._made}", free_port(), secrets.token_urlsafe(24)
        folder = self.folder / name
        folder.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(MODULE),
            "DCRX_KV_SECRET_KEY": secrets.token_hex(32),
            "DCRX_KV_ADMIN_USERNAME": USER,
            "DCRX_KV_ADMIN_PASSWORD": password,
            "DCRX_KV_DATABASE_URI": f"sqlite+aiosqlite:///{folder}/dcrx",
            "DCRX_KV_WORK_DIR": str(folder / "work"),
            "DCRX_KV_CACHE_DIR": str(folder / "cache"),
            "DCRX_KV_TOKEN_EXPIRATION": "1h",
            "DOCKER_REGISTRY_URI": f"http://127.0.0.1:{self.registry.port}/v2/team",
            **(settings or {}),
        }
        command = [sys.executable, "-c", _PROGRAM, "server", "run", "--port", str(port)]
        ready = answers(port, "/health/ready")
        running = self._services.ensure(name, command, environment, f"127.0.0.1:{port}", ready, port)
        return BuildService(name, running.pid, port, password, Path(running.log))

    def stop(self, service: BuildService) -> None:
        """End a service before the lab ends."""
        self._services.stop(service.name)

    def postgres(self) -> Postgres:
        """A new PostgreSQL server."""
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
        if not folders:
            raise LocalCloudError("PostgreSQL's server is missing; install Debian's package postgresql")
        programs, port, folder = folders[-1], free_port(), self.folder / "postgres"
        folder.mkdir()
        self._give_away(folder)
        user = self._ordinary()
        initialise = [f"{programs}/initdb", "-D", f"{folder}/data", "-U", "bench", "-A", "trust", "-N"]
        command = [*user, *initialise, "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        serve = [*user, f"{programs}/postgres", "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1"]
        server = Postgres(programs, port)
        environment = {"PATH": os.environ["PATH"]}
        self._services.ensure(
            "postgres", [*serve, "-k", ""], environment, f"127.0.0.1:{port}", lambda: _is_up(server), port
        )
        return server

    def _give_away(self, folder: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(_ORDINARY)
            os.chown(folder, user.pw_uid, user.pw_gid)

    def _ordinary(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        user = pwd.getpwnam(_ORDINARY)
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def digest_of_tag(registry: Registry, repository: str, tag: str) -> str:
    """The digest that a tag has in the registry."""
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
    try:
        kinds = (
            "application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json"
        )
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": kinds})
        return connection.getresponse().headers.get("Docker-Content-Digest", "")
    finally:
        connection.close()


def _is_up(server: Postgres) -> bool:
    try:
        return server.ask("SELECT 1") == "1"
    except subprocess.CalledProcessError:
        return False


def _version(folder: Path) -> float:
    return float(folder.parent.name)
