"""Real database servers in folders of their own, as an ordinary user, on loopback."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest

START_WITHIN = 90  # seconds
USER = "nobody"  # a server refuses to run as root
POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass
class DatabaseServer:
    """A running server, whose databases tests make and drop."""

    folder: Path
    port: int
    command: list[str]
    made: int = field(default=0)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            self.command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
        )
        until = time.monotonic() + START_WITHIN
        while not self.answers():
            waiting = self.process.poll() is None and time.monotonic() < until
            assert waiting, (self.folder / "server.log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power failure does."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def answers(self) -> bool:
        raise NotImplementedError

    def new_database(self) -> str:
        """The URI of a new, empty database."""
        raise NotImplementedError


class PostgresServer(DatabaseServer):
    def answers(self) -> bool:
        return self._sql("SELECT 1").returncode == 0

    def new_database(self) -> str:
        self.made += 1
        done = self._sql(f"CREATE DATABASE test{self.made}")
        assert done.returncode == 0, done.stderr
        return f"postgresql+asyncpg://tester@127.0.0.1:{self.port}/test{self.made}"

    def _sql(self, statement: str) -> "subprocess.CompletedProcess[str]":
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", "-d", "postgres"]
        return subprocess.run(
            [str(POSTGRES_FOLDERS[-1] / command[0]), *command[1:], "-c", statement],
            capture_output=True,
            text=True,
        )


class MariadbServer(DatabaseServer):
    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def new_database(self) -> str:
        self.made += 1
        name = f"test{self.made}"
        # aiomysql's own foundation, without an event loop: the test has one.
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="tester")
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        connection.close()
        return f"mysql+aiomysql://tester@127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def postgres() -> Iterator[DatabaseServer]:
    if not POSTGRES_FOLDERS:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    programs = POSTGRES_FOLDERS[-1]
    with _folder("postgres") as folder:
        data = folder / "data"
        initialise = [f"{programs}/initdb", "-D", str(data), "-U", "tester", "-A", "trust", "-N"]
        _run([*_as_ordinary_user(), *initialise, "-E", "UTF8", "--locale=C"], folder)
        port = free_port()
        command = [*_as_ordinary_user(), f"{programs}/postgres", "-D", str(data), "-p", str(port)]
        command += ["-h", "127.0.0.1", "-k", str(folder)]
        yield from _running(PostgresServer(folder, port, command))


@contextlib.contextmanager
def mariadb() -> Iterator[DatabaseServer]:
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if program is None or install is None or shutil.which("my_print_defaults") is None:
        pytest.skip("MariaDB is not installed (Debian: mariadb-server-core, mariadb-client-core)")
    with _folder("mariadb") as folder:
        data = folder / "data"
        settings = ["--no-defaults", f"--datadir={data}"]
        _run([*_as_ordinary_user(), install, *settings, "--auth-root-authentication-method=normal"], folder)
        grants = folder / "grants.sql"
        grants.write_text(
            "CREATE USER IF NOT EXISTS tester@'127.0.0.1';\nGRANT ALL ON *.* TO tester@'127.0.0.1';\n"
        )
        port = free_port()
        command = [
            *_as_ordinary_user(),
            program,
            *settings,
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            f"--socket={folder}/socket",
            f"--pid-file={folder}/pid",
            f"--init-file={grants}",
        ]
        yield from _running(MariadbServer(folder, port, command))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _running(server: DatabaseServer) -> Iterator[DatabaseServer]:
    try:
        server.start()
        yield server
    finally:
        server.kill()  # its data goes too


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A folder of the ordinary user's, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix=f"image-builder-{name}-", dir="/tmp"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_ordinary_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(USER)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
