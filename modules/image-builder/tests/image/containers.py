"""The service in a container, with a real registry in the same network."""

import json
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import httpx

WITHIN = 120.0  # seconds until what has to happen has happened, on a machine that does other things too
PASSWORD = "correct horse battery"
SERVICE, REGISTRY = 2278, 5000  # ports inside
# What docker has to be told so that commands of builds can run; see the module's README.
PROFILE = Path(__file__).resolve().parents[2] / "image" / "seccomp.json"
FOR_COMMANDS = ("--security-opt", f"seccomp={PROFILE}", "--security-opt", "systempaths=unconfined")
LEAST = (*FOR_COMMANDS, "--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID")
_APPLETS = ("sh", "cat", "echo", "id", "ls", "sleep")


def docker(*arguments: str, stdin: str = "") -> str:
    """Run the engine's client; its output."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Container:
    """A running container."""

    id: str

    def address(self, port: int) -> str:
        """Where one of its ports is published on this machine."""
        return docker("port", self.id, f"{port}/tcp").splitlines()[0]

    @property
    def logs(self) -> str:
        """All that it has said."""
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """What the engine knows about it."""
        found: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.id))
        return found

    def stop(self) -> int:
        """Send SIGTERM; the exit status. SIGKILL would follow after half a minute, with status 137."""
        docker("stop", "--time", "30", self.id)
        return int(self.state()["ExitCode"])


@contextmanager
def container(image: str, options: Sequence[str], command: Sequence[str] = ()) -> Iterator[Container]:
    """Run an image in the background; it is gone afterwards, with its volumes."""
    running = Container(docker("run", "--detach", *options, image, *command))
    try:
        yield running
    except BaseException:
        print(running.logs)
        raise
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", running.id], capture_output=True, check=False)


@contextmanager
def registry_beside(network: Container, base: str, folder: Path) -> Iterator[str]:
    """A registry in the network of a container, where it is `127.0.0.1:5000`; its address from here."""
    program = shutil.which("docker-registry")
    assert program, "needs docker-registry (Debian's package of that name)"
    settings = {
        "version": "0.1",
        "storage": {"inmemory": {}},
        "http": {"addr": f":{REGISTRY}"},
        "log": {"accesslog": {"disabled": True}},
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.yml").write_text(json.dumps(settings))
    mounts = [f"--volume={program}:/docker-registry:ro", f"--volume={folder}/config.yml:/config.yml:ro"]
    command = ["/docker-registry", "serve", "/config.yml"]
    with container(base, ["--network", f"container:{network.id}", *mounts], command) as registry:
        address = network.address(REGISTRY)
        wait_for(registry, f"http://{address}/v2/")
        yield address


@contextmanager
def network(base: str) -> Iterator[Container]:
    """A network with a published port for a registry: the container that owns it does nothing."""
    with container(base, [f"--publish=127.0.0.1::{REGISTRY}"], ["sleep", "infinity"]) as owner:
        yield owner


@contextmanager
def service(image: str, env_file: Path, *options: str) -> Iterator[tuple[Container, httpx.Client]]:
    """The service with published ports, ready, and a client of it."""
    published = [f"--publish=127.0.0.1::{port}" for port in (SERVICE, REGISTRY)]
    with container(image, [*published, "--env-file", str(env_file), *options]) as running:
        url = f"http://{running.address(SERVICE)}"
        wait_for(running, f"{url}/health/ready")
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            yield running, http


def wait_for(running: Container, url: str) -> None:
    """Wait until a container answers at an address."""
    until = time.monotonic() + WITHIN
    while True:
        try:
            with urlopen(Request(url), timeout=5):
                return
        except (URLError, OSError):
            assert running.state()["Running"], running.logs
            assert time.monotonic() < until, f"no answer from {url}: {running.logs}"
            time.sleep(0.1)


def ended(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job when it has ended."""
    until = time.monotonic() + WITHIN
    while True:
        job: dict[str, Any] = http.get(f"/jobs/images/{job_id}/get").raise_for_status().json()
        if job["status"] in ("DONE", "FAILED", "CANCELLED"):
            return job
        assert time.monotonic() < until, job
        time.sleep(0.1)


def write_env_file(path: Path, **more: str) -> Path:
    """The document's `.env`, with a key that is strong; further variables can be given."""
    values = {
        "DCRX_KV_MAX_MEMORY_PERCENT_USAGE": "95 # of a machine that does other things too",
        "DCRX_KV_JOB_PRUNE_INTERVAL": "'1s' # how often ended jobs are looked for",
        "DCRX_KV_SECRET_KEY": secrets.token_hex(32),
        "DCRX_KV_DATABASE_TYPE": "sqlite",
        "DOCKER_REGISTRY_URI": f"http://127.0.0.1:{REGISTRY}/v2/team",
        **more,
    }
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def push_small_base(address: str, folder: Path) -> None:
    """Push `bases/small:1`, a system of a few programs."""
    busybox = shutil.which("busybox")
    assert busybox, "needs busybox (Debian's package busybox-static)"
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in _APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    with tarfile.open(folder / "root.tar", "w") as tar:
        tar.add(root, ".")
    name = f"{address}/bases/small:1"
    docker("import", str(folder / "root.tar"), name)
    try:
        docker("push", "--quiet", name)
    finally:
        docker("image", "rm", name)


def request(name: str, *layers: dict[str, Any]) -> dict[str, Any]:
    """An image on the small base."""
    stage = {"layer_type": "stage", "base": f"127.0.0.1:{REGISTRY}/bases/small", "tag": "1"}
    return {"name": name, "tag": "1", "layers": [stage, *layers]}


ENTRYPOINT = {"layer_type": "entrypoint", "command": ["echo", "Hello world!"]}
RUN = {"layer_type": "run", "command": "id -u > /who; ls /proc > /processes"}
