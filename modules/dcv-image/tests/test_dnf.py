"""The installer's other branch: Debian's own dnf and rpm against a local repository of stand-ins."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from dcv_building.engine_support import docker, has_engine
from dcv_image.shared.errors import UserError
from dcv_image.shared_build.engine import Engine
from standin.image import build_image
from standin.rpm import dnf_base, vendor_archive
from standin.signing import SigningKey, signing_key

PACKAGES = Path(__file__).resolve().parent.parent / "image" / "install" / "packages.sh"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not has_engine(), reason="there is no container engine: set DOCKER_HOST"),
]


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


@pytest.fixture(scope="module")
def base(debian: str, key: SigningKey) -> Iterator[str]:
    with dnf_base(debian, PACKAGES, key, f"localhost/airgap-test-dnf:{uuid.uuid4().hex}") as name:
        yield name


def test_the_image_is_built_with_dnf(base: str, key: SigningKey, tmp_path: Path) -> None:
    name = f"{base}-image"
    with Engine.private() as engine:
        build_image(engine, vendor_archive(base, tmp_path, key), base, name)
    try:
        recorded = docker("run", "--rm", name, "cat", "/usr/share/dcv-image/packages.txt")
        query = "rpm -qa --queryformat '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n' | LC_ALL=C sort"
        assert recorded == docker("run", "--rm", name, "sh", "-c", query)
        for package in ("nice-dcv-server 0:2025.0.20103-1.amzn2023 noarch", "mesa-dri-drivers 0:1-1 noarch"):
            assert package in recorded.splitlines()
        docker("run", "--rm", name, "sh", "-c", "test -x /usr/bin/dcvserver && getent passwd dcv")
        assert docker("run", "--rm", name, "aws", "--version").startswith("aws-cli/")
    finally:
        docker("image", "rm", name)


@pytest.mark.parametrize("case", ["unsigned", "signed by another key"])
def test_a_package_that_the_vendor_did_not_sign_is_not_installed(
    base: str, key: SigningKey, tmp_path: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    with signing_key() as stranger:
        if case == "unsigned":
            bad = vendor_archive(base, tmp_path, key, "vendor")
        else:
            bad = vendor_archive(base, tmp_path, stranger)

        with Engine.private() as engine, pytest.raises(UserError):
            build_image(engine, bad, base, "localhost/never:made")

    shown = capfd.readouterr().out
    assert "manifest parameter `dcv-archive`: nice-dcv-server-2025.0.20103" in shown
    said = "carries no signature" if case == "unsigned" else "is not signed with the key"
    assert said in shown
