"""What is in the service's image, and that it can be made again."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from support.service_image import build_service_image

from .containers import docker

pytestmark = pytest.mark.engine
WRAPPER = """#!/bin/sh
if [ "$1" = build ]; then shift; set -- build --no-cache "$@"; fi
exec "{engine}" "$@"
"""


def run(image: str, *command: str) -> str:
    return docker("run", "--rm", "--user=0", "--entrypoint=", image, *command)


def test_every_package_is_recorded(image: str) -> None:
    installed = run(image, "dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}\\n")

    recorded = run(image, "cat", "/usr/share/image-builder/packages.txt")
    assert sorted(installed.splitlines()) == sorted(recorded.splitlines())


def test_nothing_of_the_image_becomes_root(image: str) -> None:
    """Debian's own su, mount and passwd would; builds and the service need none of them."""
    found = run(image, "find", "/", "-xdev", "-perm", "/6000", "-type", "f").splitlines()

    assert found == []
    assert run(image, "getcap", "/usr/bin/newuidmap", "/usr/bin/newgidmap").splitlines() == [
        "/usr/bin/newuidmap cap_setuid=ep",
        "/usr/bin/newgidmap cap_setgid=ep",
    ]


def test_there_is_no_installer_and_no_trace_of_the_build(image: str) -> None:
    left = "for path in /opt/image-builder/bin /opt/image-builder/pip /run/requirements.txt /etc/pip.conf; do"
    assert run(image, "sh", "-c", f"{left} ls -d $path 2>/dev/null; done; true") == ""
    assert run(image, "sh", "-c", "cat /etc/machine-id 2>/dev/null; find /var/log /tmp -type f") == ""


def test_an_https_mirror_that_cannot_be_verified_is_named(debian: str, tmp_path: Path) -> None:
    """Debian's slim image has no certificates, and would say that packages cannot be found."""
    mirror = tmp_path / "sources.list"
    mirror.write_text("deb https://mirror.example.com/debian bookworm main\n")
    install = Path(__file__).resolve().parents[2] / "image" / "install.sh"
    name = f"image-builder-test-{uuid.uuid4().hex[:12]}"
    script = "rm -f /etc/ssl/certs/ca-certificates.crt; bash /install.sh system"
    docker(
        "create", "--name", name, "--network=none", debian, "bash", "-c", f"mkdir -p /run/mirror; {script}"
    )
    try:
        docker("cp", str(install), f"{name}:/install.sh")
        docker("cp", str(tmp_path), f"{name}:/run/mirror")
        done = subprocess.run(
            ["docker", "start", "--attach", name], capture_output=True, text=True, check=False
        )
    finally:
        docker("rm", "--force", name)

    assert done.returncode == 1
    assert "os-packages-mirror: the base image has no certificates" in done.stderr


def test_the_configuration_is_what_its_users_rely_on(image: str) -> None:
    found = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))

    assert found["User"] == "1000:1000"
    assert found["Cmd"] == ["image-builder", "server", "run"]
    assert not found["Entrypoint"]
    assert found["ExposedPorts"] == {"2278/tcp": {}}
    assert found["Volumes"] == {"/tmp/image-builder": {}}


def test_built_again_without_any_cache_it_is_the_same(
    image: str, debian: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(WRAPPER.format(engine=shutil.which("docker")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    again = f"localhost/airgap-test-image-builder:{uuid.uuid4().hex}"
    try:
        build_service_image(debian, again)

        inspect = ["docker", "image", "inspect", "--format", "{{.Id}}"]
        ids = [subprocess.check_output([*inspect, name], text=True) for name in (image, again)]
        assert ids[0] == ids[1]
    finally:
        subprocess.run(["docker", "image", "rm", again], capture_output=True, check=False)
