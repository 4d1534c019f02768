"""The container engine: the machine's own docker or podman, or a docker daemon of this cloud."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import commands, packages
from .bridge import ensure_bridge, remove_bridge
from .errors import LocalCloudError
from .layout import Layout
from .leftovers import end_leftovers
from .progress import Progress
from .services import Services

SERVICE = "dockerd"
ADDRESSES = Path("/var/lib/cni")


@dataclass(frozen=True)
class Engine:
    """A working engine.

    Attributes:
        kind: `docker` or `podman`; both take docker's command line.
        program: the client.
        environment: variables that the client needs.
    """

    kind: str
    program: str
    environment: dict[str, str]

    @property
    def described(self) -> str:
        """For people."""
        host = self.environment.get("DOCKER_HOST")
        return f"{self.kind} ({self.program}{', ' + host if host else ''})"


def ensure_engine(layout: Layout, services: Services, progress: Progress) -> Engine:
    """Find an engine that works, or on Debian as root install and start one.

    Raises:
        LocalCloudError: there is none and none can be installed; says what to install.
    """
    found = find_engine(layout, services)
    if found is None:
        if layout.engine == "podman":
            raise LocalCloudError(
                "LOCAL_ENGINE is podman, but `podman info` fails: install podman, or unset LOCAL_ENGINE"
            )
        _require_installable()
        packages.ensure_programs(["dockerd", "iptables", "ip"], progress)
        found = _start_docker(layout, services, progress)
    write_client(layout, found)
    return found


def find_engine(layout: Layout, services: Services) -> Engine | None:
    """The engine that is there already: this cloud's own daemon, else docker, else podman."""
    if services.find(SERVICE):
        return _own_docker(layout)
    if layout.engine in ("auto", "docker"):
        program = shutil.which("docker")
        if program and _works([program, "info"], {}):
            host = os.environ.get("DOCKER_HOST")
            return Engine("docker", program, {"DOCKER_HOST": host} if host else {})
    if layout.engine in ("auto", "podman"):
        program = shutil.which("podman")
        environment = podman_configuration(layout)
        if program and _works([program, "info"], environment):
            return Engine("podman", program, environment)
    return None


def client_folder(layout: Layout) -> Path:
    """The folder with the one program `docker` that module builds use."""
    return layout.state / "bin"


def write_client(layout: Layout, engine: Engine) -> None:
    """Make `docker` in the client's folder: the engine with its settings, whichever it is."""
    folder = client_folder(layout)
    folder.mkdir(parents=True, exist_ok=True)
    exports = "".join(f"export {name}='{value}'\n" for name, value in engine.environment.items())
    client = folder / "docker"
    client.write_text(f'#!/bin/sh\n{exports}exec "{engine.program}" "$@"\n', encoding="utf-8")
    client.chmod(0o755)


def podman_configuration(layout: Layout) -> dict[str, str]:
    """Settings under which podman works here too, and finds ECR's name on loopback.

    Some machines lack CAP_SYS_RESOURCE or have hybrid cgroups; podman's defaults fail there.
    """
    folder = layout.engine_folder / "podman"
    folder.mkdir(parents=True, exist_ok=True)
    runtime = "runc" if shutil.which("runc") else "crun"
    (folder / "containers.conf").write_text(
        "[containers]\n"
        'default_ulimits = ["nofile=16384:16384", "nproc=32768:32768"]\n'
        "[engine]\n"
        f'runtime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        encoding="utf-8",
    )
    (folder / "registries.conf").write_text(
        f'[[registry]]\nprefix = "{layout.ecr_host}"\nlocation = "127.0.0.1:{layout.emulator_port}"\n'
        f'insecure = true\n[[registry]]\nlocation = "127.0.0.1:{layout.emulator_port}"\ninsecure = true\n'
        f'[[registry]]\nlocation = "127.0.0.1:{layout.source_registry_port}"\ninsecure = true\n',
        encoding="utf-8",
    )
    # Images of this cloud stay in its folder; the default place lies below /var, where builds see a layer.
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n',
        encoding="utf-8",
    )
    return {
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }


def folders_of_addresses() -> list[str]:
    """Where podman's networks write down which address which container has, on machines with CNI.

    Builds that each had a copy would give two containers one address, and the first to end would take the
    other's way out with it.
    """
    if os.geteuid() != 0 or not shutil.which("podman"):
        return []
    ADDRESSES.mkdir(exist_ok=True)
    return [str(ADDRESSES)]


def _start_docker(layout: Layout, services: Services, progress: Progress) -> Engine:
    folder = layout.engine_folder
    folder.mkdir(parents=True, exist_ok=True)
    with progress.step("starting a docker daemon for this cloud"):
        engine = _own_docker(layout)
        services.ensure(
            SERVICE,
            ["dockerd", "--host", f"unix://{layout.docker_socket}", "--data-root", str(folder / "data"),
             "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"),
             "--bridge", ensure_bridge(layout.state),
             # Published ports stay on loopback unless somebody asks for more.
             "--ip", "127.0.0.1"],
            os.environ,
            f"unix://{layout.docker_socket}",
            lambda: _works([engine.program, "info"], engine.environment),
        )  # fmt: skip
    return engine


def clean_up_engine(layout: Layout) -> list[str]:
    """After the services ended: end containers that outlived them, remove the bridge, unmount the rest.

    Returns:
        names of the processes that had to be ended.
    """
    if (layout.engine_folder / "podman" / "storage").is_dir() and shutil.which("podman"):
        environment = {**os.environ, **podman_configuration(layout)}
        remove = ["podman", "rm", "--all", "--force", "--time", "2"]
        subprocess.run(remove, env=environment, capture_output=True, check=False)
    ended = end_leftovers(layout.engine_folder)
    remove_bridge(layout.state)
    for mount in reversed(mounts_below(layout.state)):
        commands.run(["umount", "--lazy", mount])
    return ended


def mounts_below(folder: Path) -> list[str]:
    """Mount points below a folder (proc(5), /proc/self/mounts)."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def _own_docker(layout: Layout) -> Engine:
    # The client of the same package: another docker on PATH may be newer and lack the builder.
    program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
    return Engine("docker", program, {"DOCKER_HOST": f"unix://{layout.docker_socket}"})


def _works(command: list[str], environment: dict[str, str]) -> bool:
    try:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _require_installable() -> None:
    if packages.can_install():
        return
    raise LocalCloudError(
        "no container engine works here: neither `docker info` nor `podman info` succeeds. Install Docker "
        "(https://docs.docker.com/engine/install/) or Podman (https://podman.io/docs/installation) and "
        "start it; on Debian as root this command installs docker.io itself"
    )
