"""One image for all these tests, and what a container of it needs."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .containers import Container, buildkit_environment, docker, engine_is_there
from .pods import Pod, running_pod
from .secrets_double import SecretsDouble

MODULE = Path(__file__).resolve().parents[2]
IMAGE_VARIABLE = "DCV_RUNTIME_TEST_IMAGE"
PACKAGES = ("ca-certificates", "python3", "openssl", "dbus", "tigervnc-standalone-server", "xauth")
SECRET = "dcv-credentials"
USER, PASSWORD = "alice", "correct horse"
# What the Dockerfile of the module does, on a base that has the packages, and with the stand-in's programs
# in place of the vendor's archive.
RECIPE = """\
FROM {base}
RUN ln -sf /usr/bin/python3 /usr/local/bin/dcv-python && useradd --system dcv
COPY tests/standin/programs/ /usr/bin/
COPY image/dcv_server /opt/dcv_server
COPY image/bin/ /usr/local/bin/
COPY image/accounts.sh /usr/share/dcv-image/accounts.sh
RUN chmod 0755 /usr/bin/dcv* /usr/local/bin/* /usr/share/dcv-image/accounts.sh \\
        /opt/dcv_server/scripts/update_parameters.py \\
    && mkdir -p /etc/dcv/tls \\
    && ln -s /run/dcv-image/tls/dcv.pem /run/dcv-image/tls/dcv.key /etc/dcv/ \\
    && /usr/share/dcv-image/accounts.sh
CMD ["/usr/local/bin/run_script.sh"]
"""


@pytest.fixture(scope="session")
def session_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The runtime on Debian with the stand-in for the DCV server, or what `DCV_RUNTIME_TEST_IMAGE` names."""
    if not engine_is_there():
        pytest.skip("there is no container engine: set DOCKER_HOST")
    given = os.environ.get(IMAGE_VARIABLE)
    if given:
        yield given
        return
    if not shutil.which("mmdebstrap"):
        pytest.skip(f"there is no image: set {IMAGE_VARIABLE} to one, or install mmdebstrap")
    base, tag = (f"dcv-runtime-{kind}-{uuid.uuid4().hex[:8]}" for kind in ("base", "test"))
    archive = tmp_path_factory.mktemp("base") / "base.tar"
    options = [
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
    ]
    subprocess.run(["mmdebstrap", *options, "bookworm", str(archive)], check=True, capture_output=True)
    docker("import", str(archive), base)
    archive.unlink()
    try:
        done = subprocess.run(
            ["docker", "build", "--network", "none", "--tag", tag, "-"],
            input=_context(base),
            env=buildkit_environment(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        yield tag
    finally:
        docker("rmi", "--force", tag, base, check=False)


def _context(base: str) -> bytes:
    """The files of the module that the recipe copies, as the archive that the engine takes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        recipe = RECIPE.format(base=base).encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        archive.addfile(entry, io.BytesIO(recipe))
        for name in ("image", "tests/standin/programs"):
            archive.add(MODULE / name, name, filter=_without_byte_code)
    return packed.getvalue()


def _without_byte_code(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


@pytest.fixture(scope="session")
def aws() -> Iterator[SecretsDouble]:
    """The emulated AWS of all pods."""
    double = SecretsDouble()
    yield double
    double.close()


@pytest.fixture(autouse=True)
def _credentials(aws: SecretsDouble) -> None:
    """The secret is right unless a test says otherwise."""
    aws.secrets = {SECRET: json.dumps({"UserName": USER, "Password": PASSWORD})}
    aws.refusal = None


@pytest.fixture
def pod(session_image: str, aws: SecretsDouble) -> Iterator[Pod]:
    """For tests that break what they start."""
    with running_pod(session_image, aws.port) as pod:
        yield pod


@pytest.fixture(scope="module")
def shared_pod(session_image: str, aws: SecretsDouble) -> Iterator[Pod]:
    """For tests that leave what they share as they found it."""
    aws.secrets = {SECRET: json.dumps({"UserName": USER, "Password": PASSWORD})}
    with running_pod(session_image, aws.port) as pod:
        yield pod


@pytest.fixture(scope="module")
def session(shared_pod: Pod) -> Container:
    """A healthy session, for tests that leave it so."""
    return shared_pod.healthy()
