"""The AWS emulator for one test run: in memory, on a free port of 127.0.0.1."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from collection.modules import REPOSITORY

from .pinned_env import pinned_environment

VERSION = "1.5.33"
REQUIREMENTS = REPOSITORY / "scripts" / "localcloud" / "requirements-ministack.txt"
ACCOUNT = "123456789012"
REGION = "us-east-1"
START_SECONDS = 60


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    url: str

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables by which an AWS client talks to it, and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # it takes the account from a key of 12 digits
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Start the emulator with its log in `folder`; end it, by its process, afterwards."""
    port = _free_port()
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # would listen on another address
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "DOCKER_HOST": f"unix://{folder}/none",  # it must not touch the machine's containers
    }
    program = pinned_environment(f"ministack-{VERSION}", REQUIREMENTS) / "bin" / "ministack"
    log = folder / "emulator.log"
    with log.open("w") as output:
        process = subprocess.Popen([str(program)], env=environment, cwd=folder, stdout=output, stderr=output)
    try:
        emulator = Emulator(f"http://127.0.0.1:{port}")
        _wait_until_ready(emulator, process, log)
        yield emulator
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(emulator: Emulator, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{emulator.url}/_ministack/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the emulator did not become ready:\n{log.read_text(encoding='utf-8')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
