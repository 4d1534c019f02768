"""One desktop as the kubelet runs it: volumes that outlive restarts, a container stopped by signals."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError

from . import namespaces, rfb
from .docker import Docker
from .launch import FS_GROUP, Family, Launch

PRE_STOP = ("kill", "-s", "SIGRTMIN+3", "1")  # the manager's hook for systemd images
GRACE_SECONDS = 30  # terminationGracePeriodSeconds
KNOCKING_INTERVAL = 0.002  # seconds; nothing tells a stranger that a socket listens
TAIL_LINES = 30
LABEL = "airgap-desktop"
X_SERVER = "Xtigervnc"


@dataclass(frozen=True)
class Pod:
    """A running, or restarted, desktop.

    Attributes:
        container: id of the desktop's container.
        folder: the volumes, one folder for each.
    """

    docker: Docker
    launch: Launch
    container: str
    folder: Path

    def start(self) -> float:
        """Start the container, for the first time or again; return when it started (Unix time)."""
        self.docker.run("start", self.container)
        return self.started_at

    def connect(self, seconds: float = 30.0) -> rfb.Client:
        """A VNC client, as soon as the desktop's server answers.

        Raises:
            LocalCloudError: the container ended, or nobody answered in time; with the log's last lines.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._dial(seconds)
            except (OSError, rfb.RfbError) as error:
                if isinstance(error, TimeoutError) or time.monotonic() > deadline or not self.running:
                    raise LocalCloudError(
                        f"no VNC server answers on {self.launch.address} ({error}); its log ends with:\n"
                        f"{self.log_tail}"
                    ) from None
            time.sleep(KNOCKING_INTERVAL)

    @property
    def socket(self) -> Path:
        """The VNC server's socket, where this machine sees it."""
        return self.on_host(self.launch.address)

    def on_host(self, path: str) -> Path:
        """Where this machine sees a file of the pod's volumes.

        Raises:
            ValueError: the path is in no volume.
        """
        real = path.replace("/var/run/", "/run/", 1) if path.startswith("/var/run/") else path
        mounted = {
            target.replace("/var/run/", "/run/", 1): name for name, target in self.launch.volumes().items()
        }
        for target in sorted(mounted, key=len, reverse=True):
            if real == target or real.startswith(f"{target}/"):
                return self.folder / mounted[target] / real[len(target) :].lstrip("/")
        raise ValueError(f"{path} is in no volume of the pod")

    @property
    def pid(self) -> int:
        """The container's first process, as this machine numbers it; 0 when it does not run."""
        return int(self.docker.run("inspect", "--format={{.State.Pid}}", self.container))

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return self.pid != 0

    @property
    def exit_code(self) -> int:
        """How the container ended."""
        return int(self.docker.run("inspect", "--format={{.State.ExitCode}}", self.container))

    @property
    def started_at(self) -> float:
        """When the engine started the container's process last (Unix time, to the microsecond)."""
        return self.docker.started_at(self.container)

    @property
    def log(self) -> str:
        """What the container printed."""
        return self.docker.logs(self.container)

    @property
    def log_tail(self) -> str:
        """The last lines of the log, each with its time, indented."""
        lines = self.docker.logs(self.container, "--timestamps", f"--tail={TAIL_LINES}").splitlines()
        return "\n".join(f"    {line}" for line in lines)

    def execute(self, *command: str, user: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container, as the desktop's user unless another is named."""
        name = str(self.launch.desktop_uid) if user is None else user
        return self.docker.attempt("exec", f"--user={name}", self.container, *command)

    def wait_for_log(self, text: str, seconds: float = 30.0) -> None:
        """Read the log until it has the text.

        Raises:
            TimeoutError: it did not in time, or the container ended without.
        """
        command = [self.docker.program, "logs", "--follow", self.container]
        environment = {**os.environ, **self.docker.environment}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as reading:
            found = _appears(reading, text.encode(), seconds)
            reading.kill()
        if not found:
            raise TimeoutError(f"the log does not say {text!r} after {seconds:g} s:\n{self.log_tail}")

    def wait_until_ended(self, seconds: float = GRACE_SECONDS) -> int:
        """Wait for the container's end; return its status.

        Raises:
            TimeoutError: it did not end in time.
        """
        try:
            done = self.docker.attempt("wait", self.container, seconds=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the container runs on after {seconds:g} s:\n{self.log_tail}") from None
        return int(done.stdout)

    @property
    def stop_signal(self) -> int:
        """Number of the signal that stops the image: Podman tells the number, Docker the name."""
        name = str(self.docker.inspect(self.container)["Config"].get("StopSignal") or "SIGTERM")
        if name.isdigit():
            return int(name)
        base, _, offset = name.partition("+")
        return int(signal.Signals[base]) + int(offset or 0)

    def stop(self) -> float:
        """Stop the desktop as the kubelet does; return how long it took, in seconds.

        The manager's preStop hook, where the family has one; then the image's own stop signal, as container
        runtimes do, which without one is SIGTERM.
        """
        with _process(self.pid) as process:
            begun = time.monotonic()
            if self.launch.family is Family.SYSTEMD:
                self.docker.attempt("exec", self.container, *PRE_STOP)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, self.stop_signal)
            self._wait_for(process)
        return time.monotonic() - begun

    def signal(self, number: int) -> float:
        """Send the container's first process a signal, and wait for its end; return the seconds."""
        with _process(self.pid) as process:
            begun = time.monotonic()
            signal.pidfd_send_signal(process, number)
            self._wait_for(process)
            return time.monotonic() - begun

    @property
    def display(self) -> str:
        """The X display, such as `:1`, of the VNC server that runs."""
        (server, *_) = self.programs(X_SERVER)
        words = Path(f"/proc/{server}/cmdline").read_bytes().decode().split("\0")
        return next(word for word in words if re.fullmatch(r":\d+", word))

    def programs(self, name: str) -> list[int]:
        """Processes of that name (proc(5), `comm`), as this machine numbers them."""
        return namespaces.processes_beside(self.pid, name)

    def signal_program(self, name: str, number: int) -> None:
        """Send a signal to every process of that name (proc(5), `comm`) in the container.

        Raises:
            ProcessLookupError: there is none.
        """
        found = self.programs(name)
        if not found:
            raise ProcessLookupError(f"no {name} runs in the container")
        for pid in found:
            os.kill(pid, number)

    def kill(self) -> None:
        """End every process of the container at once, as the kernel does when memory is short."""
        self.docker.run("kill", "--signal=KILL", self.container)
        self.docker.run("wait", self.container)

    def listening_ports(self) -> set[str]:
        """Every `address:port` on which a TCP socket listens in the pod's network."""
        return namespaces.listening_ports(self.pid)

    def remove(self) -> None:
        """Remove the container and its volumes."""
        self.docker.attempt("rm", "--force", self.container)
        try:
            shutil.rmtree(self.folder)
        except PermissionError:
            # Files of the desktop's user, where this program is not root: the engine removes them.
            mount = f"--mount=type=bind,source={self.folder},target=/volumes"
            clean = ("find", "/volumes", "-mindepth", "1", "-delete")
            self.docker.attempt(
                "run", "--rm", "--user=0", f"--entrypoint={clean[0]}", mount, self.launch.image, *clean[1:]
            )
            shutil.rmtree(self.folder)

    def _dial(self, seconds: float) -> rfb.Client:
        if self.launch.is_unix:
            return rfb.connect_unix(str(self.socket), seconds)
        host, _, port = self.launch.address.rpartition(":")
        return rfb.Client(namespaces.connect(self.pid, host, int(port), seconds), seconds)

    def _wait_for(self, process: int) -> None:
        if not select.select([process], [], [], GRACE_SECONDS)[0]:
            raise TimeoutError(f"the desktop runs on after {GRACE_SECONDS} s:\n{self.log_tail}")


def create(docker: Docker, launch: Launch, shared_tmp: Path | None = None) -> Pod:
    """Make a pod that is not started yet; `shared_tmp` is another one's /tmp, to be its own too.

    Raises:
        LocalCloudError: the engine refuses, or has no such image.
    """
    folder = Path(tempfile.mkdtemp(prefix="airgap-pod-", dir="/tmp"))
    folder.chmod(0o711)
    if shared_tmp:
        (folder / "tmp").symlink_to(shared_tmp)
    for name in launch.volumes():
        _empty_dir(folder / name)
    options = launch.arguments(folder)
    try:
        container = docker.run(
            "create", f"--name=desktop-{uuid.uuid4().hex[:12]}", f"--label={LABEL}", *options, launch.image
        ).strip()
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Pod(docker, launch, container, folder)


@contextmanager
def running(docker: Docker, launch: Launch) -> Iterator[Pod]:
    """A started pod, removed afterwards."""
    pod = create(docker, launch)
    try:
        pod.start()
        yield pod
    finally:
        pod.remove()


def _empty_dir(folder: Path) -> None:
    """What Kubernetes mounts: open to all; with fsGroup, its group, which new files inherit."""
    if folder.is_dir():
        return
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 0, FS_GROUP)
    folder.chmod(0o2777 if os.geteuid() == 0 else 0o777)


@contextmanager
def _process(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _appears(reading: "subprocess.Popen[bytes]", text: bytes, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    seen = b""
    output = reading.stdout
    while output is not None and text not in seen:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            return False
        part = os.read(output.fileno(), 1 << 16)
        if not part:
            return False
        seen += part
    return True
