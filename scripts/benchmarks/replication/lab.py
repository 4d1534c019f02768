"""The services of a run: registries, relays and proxies on loopback, with their data in one folder.

All of it is ended and removed with the lab, also when the run is interrupted.
"""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from localcloud.errors import LocalCloudError
from localcloud.layout import REPOSITORY
from localcloud.services import Services, answers

from .process import Processes

MODULE = REPOSITORY / "modules" / "dockerimage-replication"
_TICKS = os.sysconf("SC_CLK_TCK")


_MUCH = 2**30  # bytes that are not kept until the lab ends


class Lab:
    """A folder of temporary data and the services in it; a context manager.

    Attributes:
        processes: where contenders run.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="airgap-bench-"))
        self._services = Services(self.folder / "run", self.folder / "logs")
        self._doubles: list[subprocess.Popen[bytes]] = []
        self._numbers = itertools.count(1)
        self._one_at_a_time = threading.Lock()  # `Services` is made for one thread
        self.processes = Processes()

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processes.kill_all()
        for double in self._doubles:
            _end(double)
        self._services.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def need_disk(self, gib: int) -> None:
        """Check that there is room.

        Raises:
            LocalCloudError: there is not; says how to use another disk.
        """
        free = shutil.disk_usage(self.folder).free / 2**30
        if free < gib:
            raise LocalCloudError(
                f"{self.folder.parent} has {free:.0f} GiB free, and this needs {gib}; set TMPDIR to a folder "
                "on another disk"
            )

    def new_folder(self) -> Path:
        """An empty folder."""
        folder = self.folder / self._name("work")
        folder.mkdir()
        return folder

    def registry(self) -> "Registry":
        """A real registry without any content."""
        name, port = self._name("registry"), _free_port()
        storage = self.folder / name
        storage.mkdir()
        configuration = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(storage)}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        file = storage / "config.yml"
        file.write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
        self._ensure(name, ["docker-registry", "serve", str(file)], port)
        return Registry(name, port, storage)

    def relay(self, port: int) -> "Relay":
        """A way to a port that takes 20 ms there and back."""
        name, listen = self._name("relay"), _free_port()
        command = [sys.executable, "-m", "benchmarks.replication.latency", str(listen), str(port)]
        return Relay(name, listen, self._ensure(name, command, listen))

    def stop(self, service: "Registry | Relay") -> None:
        """End a service before the lab ends, and remove what it stored if that is much.

        ext4 does not use an inode again that was deleted some seconds ago, and looks for others: whoever
        comes next after thousands of deletions would pay for them, in a third of its time.
        """
        with self._one_at_a_time:
            self._services.stop(service.name)
        if isinstance(service, Registry) and _stored(service.storage) > _MUCH:
            shutil.rmtree(service.storage)

    def double(self, port: int, *options: str) -> "Double":
        """A proxy of the tests in front of a registry: it counts requests, and injects faults."""
        process = subprocess.Popen(
            [sys.executable, "-m", "registry_doubles", *options, f"127.0.0.1:{port}"],
            env=environment(self.folder, {"PYTHONPATH": str(MODULE / "tests")}),
            stdin=subprocess.PIPE,  # it ends with us, even when we are killed
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._doubles.append(process)
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise LocalCloudError("the proxy `python -m registry_doubles` did not start")
        return Double(int(json.loads(line)["address"].rpartition(":")[2]), process)

    def stop_double(self, double: "Double") -> None:
        """End a proxy before the lab ends."""
        _end(double.process)
        self._doubles.remove(double.process)

    def _ensure(self, name: str, command: list[str], port: int) -> int:
        variables = environment(self.folder, {"PYTHONPATH": str(REPOSITORY / "scripts")})
        ready = answers(port, "/v2/")
        with self._one_at_a_time:
            return self._services.ensure(name, command, variables, f"127.0.0.1:{port}", ready, port).pid

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"


@dataclass(frozen=True)
class Registry:
    """A running docker-registry."""

    name: str
    port: int
    storage: Path


@dataclass(frozen=True)
class Relay:
    """A running relay."""

    name: str
    port: int
    pid: int

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far (proc(5), utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Double:
    """A running proxy of the tests."""

    port: int
    process: "subprocess.Popen[bytes]"

    def statistics(self) -> dict[str, int]:
        """Its counts: requests, sent_bytes (to the registry), received_bytes (from it)."""
        with urllib.request.urlopen(self._url, timeout=10) as answer:  # noqa: S310 - loopback
            value: dict[str, int] = json.load(answer)
        return value

    def clear(self) -> None:
        """Count from zero."""
        urllib.request.urlopen(urllib.request.Request(self._url, method="DELETE"), timeout=10).close()  # noqa: S310

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}/_doubles"


def environment(home: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of everything that is started: nobody's settings, credentials or proxies.

    `_CONTAINERS_ROOTLESS_UID` has skopeo keep its cache below HOME for root too.
    """
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "_CONTAINERS_ROOTLESS_UID": "1000",
        **(variables or {}),
    }


def _stored(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin:
        process.stdin.close()
    process.terminate()
    process.wait()
    if process.stdout:
        process.stdout.close()
