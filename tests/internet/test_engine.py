"""The images really run: pulled by digest from the box by a container engine."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.internet import box

pytestmark = pytest.mark.engine

RUNS = {
    "docker.io/library/busybox:1.35": (["sh", "-c", "echo a b | awk '{print $2}'"], "b"),
    "docker.io/library/debian:bookworm": (["sh", "-c", "dpkg --audit; apt-get --version"], "apt 2."),
    "quay.io/prometheus/node-exporter:v1.5.0": (["--version"], "version 1.5.0"),
    "registry.k8s.io/e2e/echo:1.0": (
        ["sh", "-c", "httpd -p 8080 -h /www; wget -qO- http://127.0.0.1:8080/"],
        "echo",
    ),
}


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A client for an engine of our own, without a network."""
    client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker")
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if not client or not daemon:
        pytest.skip("no dockerd or docker on PATH")
    folder = tmp_path_factory.mktemp("docker")
    socket = f"unix://{folder}/docker.sock"
    options = [f"--{name}={folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [daemon, "-H", socket, *options, "--bridge=none", "--iptables=false"], stdout=log, stderr=log
        )
        try:
            command = [client, "-H", socket]
            end = time.monotonic() + 20
            while subprocess.run([*command, "version"], capture_output=True).returncode != 0:
                if process.poll() is not None or time.monotonic() > end:
                    pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}")
                time.sleep(0.1)
            yield command
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("reference", RUNS)
def test_image_runs(
    docker: list[str], running_box: tuple[Path, box.Ports], content: box.Content, reference: str
) -> None:
    arguments, expected = RUNS[reference]
    digest = content.images.references[reference].digest
    image = f"127.0.0.1:{running_box[1].registry}/{reference.rpartition(':')[0]}@{digest}"
    done = subprocess.run(
        [*docker, "run", "--rm", "--network", "none", image, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_every_applet_is_one_that_busybox_has(docker: list[str], running_box: tuple[Path, box.Ports]) -> None:
    image = f"127.0.0.1:{running_box[1].registry}/docker.io/library/busybox:1.35"
    script = 'for a in /bin/*; do busybox --list | grep -qxF "${a##*/}" || echo "${a##*/}"; done'
    done = subprocess.run(
        [*docker, "run", "--rm", "--network", "none", image, "sh", "-c", script],
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert done.returncode == 0
