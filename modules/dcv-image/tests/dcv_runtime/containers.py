"""The image's containers, run as the README says: read-only, few capabilities, documented volumes."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The README's table of capabilities: each is here for a reason that `test_capabilities` shows.
CAPABILITIES = ("CHOWN", "KILL", "SETGID", "SETUID")
VOLUMES = ("/run", "/tmp", "/home", "/var/log", "/var/lib/dcv-image/accounts")
WAIT_SECONDS = 60.0
EMULATOR_PORT = 4566


def docker(*arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
    """Run the engine's client."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0 or not check, f"docker {arguments[0]}: {done.stdout}{done.stderr}"
    return done


def until(what: str, look: Callable[[], object], seconds: float = WAIT_SECONDS) -> float:
    """Seconds until `look` gives something true; fails the test when that takes too long."""
    begin = time.monotonic()
    while not look():
        assert time.monotonic() - begin < seconds, f"waited {seconds:g} s in vain for: {what}"
        time.sleep(0.05)
    return time.monotonic() - begin


@dataclass
class Container:
    """One container."""

    name: str

    def run(
        self, *command: str, check: bool = True, user: str = "0", text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, with `text` as its input."""
        return docker(
            "exec", "--interactive", "--user", user, self.name, *command, check=check, input=text or ""
        )

    def probe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the health check as a kubelet does."""
        return self.run("/usr/local/bin/check_healthy.sh", *arguments, check=False)

    def healthy(self) -> bool:
        """Whether the probe says yes."""
        return self.probe().returncode == 0

    def wait_until_healthy(self) -> float:
        """Seconds until the probe says yes; a container that ended fails the test with its log."""

        def look() -> bool:
            assert self.state()["Running"], f"the container ended: {self.log()}"
            return self.healthy()

        try:
            return until("a healthy session", look)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.probe().stderr}\n{self.log()}") from error

    def state(self) -> dict[str, Any]:
        """What the engine says of it."""
        return dict(json.loads(docker("inspect", self.name).stdout)[0]["State"])

    def log(self) -> str:
        """All that it wrote."""
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return int(docker("wait", self.name, timeout=WAIT_SECONDS).stdout)

    def process(self) -> int:
        """Its first process, as the machine numbers it."""
        return int(self.state()["Pid"])

    def pids(self, name: str) -> list[int]:
        """Processes of that name, as the container numbers them."""
        script = (
            'cd /proc; for p in [0-9]*; do read -r c <"$p/comm" && [ "$c" = "$1" ] && echo "$p"; done; true'
        )
        listed = self.run("bash", "-c", script, "bash", name[:15]).stdout  # the kernel keeps no more
        return [int(pid) for pid in listed.split()]

    def processes(self) -> dict[Path, str]:
        """All its processes, as the machine sees them: folder in `/proc` → name."""
        listed = docker("top", self.name, "-o", "pid").stdout.split()[1:]
        folders = [Path("/proc") / pid for pid in listed]
        return {folder: (folder / "comm").read_text().strip() for folder in folders if folder.exists()}

    def signal(self, name: str, process: str) -> None:
        """Send a signal to all processes of that name."""
        pids = self.pids(process)
        assert pids, f"no process {process}"
        self.run("bash", "-c", 'kill -s "$@"', "bash", name, *map(str, pids))


@dataclass
class Containers:
    """Makes containers of one image and removes them all."""

    image: str
    names: list[str] = field(default_factory=list)

    def network(self) -> Container:
        """A container that holds a network of its own, loopback alone, for others to join."""
        return self._start(["--network", "none"], "sleep", "infinity")

    def application(self, options: Sequence[str]) -> Container:
        """A container without any capability, for programs that are run in it."""
        limits = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp:mode=1777"]
        return self._start([*limits, *options], "sleep", "infinity")

    def session(
        self,
        *,
        network: Container | None = None,
        environment: dict[str, str] | None = None,
        options: Sequence[str] = (),
        capabilities: Sequence[str] = CAPABILITIES,
        volumes: Sequence[str] = VOLUMES,
        command: Sequence[str] = (),
    ) -> Container:
        """The image's own command, limited as the README's `securityContext`."""
        variables = {
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{EMULATOR_PORT}",
            "DCV_TLS_SELF_SIGNED": "true",
            **(environment or {}),
        }
        return self._start(
            [
                *("--network", f"container:{network.name}" if network else "none"),
                *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
                *(part for name in capabilities for part in ("--cap-add", name)),
                *(part for volume in volumes for part in ("--tmpfs", f"{volume}:exec,mode={_mode(volume)}")),
                *(part for name, value in variables.items() for part in ("--env", f"{name}={value}")),
                *options,
            ],
            *command,
        )

    def remove(self, container: Container) -> None:
        """Remove one, running or not."""
        docker("rm", "--force", "--volumes", container.name, check=False)

    def remove_all(self) -> None:
        """Remove those that are left, the last first."""
        for name in reversed(self.names):
            self.remove(Container(name))
        self.names.clear()

    def _start(self, options: Sequence[str], *command: str) -> Container:
        name = f"dcv-test-{uuid.uuid4().hex[:12]}"
        self.names.append(name)
        docker("run", "--detach", "--name", name, *options, self.image, *command)
        return Container(name)


def _mode(volume: str) -> str:
    return "1777" if volume == "/tmp" else "755"


def engine_is_there() -> bool:
    """Whether an engine answers."""
    try:
        return docker("info", check=False).returncode == 0
    except FileNotFoundError:
        return False
