"""The image: its scripts are linted, and with an engine at hand it is built and run."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parent.parent / "image"
SCRIPTS = [IMAGE / "install.sh", IMAGE / "accounts.sh", *sorted((IMAGE / "bin").glob("*.sh"))]
BASE_VARIABLE = "DCV_IMAGE_TEST_BASE"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")

    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)

    assert done.stdout == ""


def test_an_unknown_operating_system_is_refused(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=plan9\nVERSION_ID=4\nPRETTY_NAME="Plan 9"\n')
    script = tmp_path / "install.sh"
    text = (IMAGE / "install.sh").read_text()
    script.write_text(
        text.replace("/etc/os-release", str(release)).replace("/usr/share", f"{tmp_path}/share")
    )

    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "unsupported operating system: Plan 9" in done.stderr


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real image, built from a Debian base."""
    if not shutil.which("docker") or docker("info", check=False).returncode != 0:
        pytest.skip("there is no container engine: set DOCKER_HOST")
    base = os.environ.get(BASE_VARIABLE)
    made = None
    if base is None:
        if not shutil.which("mmdebstrap"):
            pytest.skip(f"there is no base image: set {BASE_VARIABLE} to one, or install mmdebstrap")
        made = base = _debian(tmp_path_factory.mktemp("base") / "base.tar")
    tag = f"dcv-image-test-{uuid.uuid4().hex[:8]}"
    environment = {**os.environ, "DOCKER_BUILDKIT": _buildkit()}
    command = ["docker", "build", "--tag", tag, "--build-arg", f"BASE_IMAGE={base}", str(IMAGE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield tag
    docker("rmi", "--force", tag, *([made] if made else []))


def _debian(archive: Path) -> str:
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(archive)],
        check=True,
        capture_output=True,
    )
    tag = f"dcv-image-test-base-{uuid.uuid4().hex[:8]}"
    docker("import", str(archive), tag)
    return tag


def _buildkit() -> str:
    return "1" if docker("buildx", "version", check=False).returncode == 0 else "0"


@pytest.mark.engine
class TestImage:
    def test_it_says_what_it_is_and_that_it_is_not_healthy(self, built: str) -> None:
        done = docker("run", "--rm", built, check=False)

        assert done.returncode == 1
        assert "dcv-image: Amazon DCV session image on Debian GNU/Linux 12 (bookworm)" in done.stdout
        assert "the DCV server is not installed in this image" in done.stderr

    def test_the_installed_packages_are_recorded(self, built: str) -> None:
        recorded = docker("run", "--rm", built, "cat", "/usr/share/dcv-image/packages.txt").stdout
        query = "dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | LC_ALL=C sort"
        actual = docker("run", "--rm", built, "sh", "-c", query).stdout

        assert recorded == actual
        assert "\npython3 " in recorded

    def test_no_package_lists_and_no_byte_code_are_left(self, built: str) -> None:
        found = docker(
            *("run", "--rm", built, "find", "/var/lib/apt/lists", "/var/cache/apt/archives", "/opt"),
            *("-type", "f", "-not", "-name", "*.py", "-not", "-name", "lock"),
        )

        assert found.stdout == ""

    def test_it_has_no_entry_point(self, built: str) -> None:
        config = json.loads(docker("image", "inspect", built).stdout)[0]["Config"]

        assert config["Entrypoint"] is None
