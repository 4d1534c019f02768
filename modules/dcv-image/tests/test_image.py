"""The image: its scripts are linted, and with an engine at hand it is built and looked at."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from dcv_building.engine_support import differing_files, docker, has_engine, saved_layers
from dcv_building.uncached import without_cache
from dcv_image.shared.errors import UserError
from dcv_image.shared_build.engine import Engine
from standin.archive import StandIn, make
from standin.deb import signed_by_debsigs, unsigned
from standin.image import build_image
from standin.signing import signing_key

IMAGE = Path(__file__).resolve().parent.parent / "image"
SCRIPTS = [path for path in sorted(IMAGE.rglob("*")) if path.suffix == ".sh"]
CANARY = "canary-in-the-mirror-file"
# The contract's paths, and what else the README names.
PROGRAMS = (
    "/usr/local/bin/run_script.sh",
    "/usr/local/bin/startup_script.sh",
    "/usr/local/bin/init_session.sh",
    "/usr/local/bin/check_healthy.sh",
    "/usr/local/bin/dcv-image",
    "/usr/local/bin/aws",
)
IMPORT_CLIENT = """
import sys
sys.path.insert(0, "/opt/dcv_server/python-packages")
import kubernetes
print(kubernetes.__version__)
"""
with_engine = pytest.mark.skipif(not has_engine(), reason="there is no container engine: set DOCKER_HOST")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")

    command = ["shellcheck", "--external-sources", str(script)]
    done = subprocess.run(command, cwd=IMAGE.parents[2], capture_output=True, text=True, check=False)

    assert done.stdout == ""


def run(image: str, *command: str) -> str:
    return docker("run", "--rm", "--network", "none", image, *command)


@pytest.mark.engine
@with_engine
class TestImage:
    def test_every_program_of_the_contract_is_there(self, standin_image: str) -> None:
        run(standin_image, "bash", "-c", 'for f in "$@"; do [ -x "$f" ]; done', "bash", *PROGRAMS)
        run(standin_image, "test", "-f", "/opt/dcv_server/scripts/update_parameters.py")
        assert "web-port=8443" in run(standin_image, "cat", "/etc/dcv/dcv.conf")

    def test_the_container_runs_the_documents_script(self, standin_image: str) -> None:
        config = json.loads(docker("image", "inspect", standin_image))[0]["Config"]

        assert config.get("Entrypoint") is None
        assert config["Cmd"] == ["/usr/local/bin/run_script.sh"]
        assert set(config["ExposedPorts"]) == {"8443/tcp", "8443/udp"}

    def test_the_kubernetes_client_and_the_aws_cli_work(self, standin_image: str) -> None:
        assert run(standin_image, "aws", "--version").startswith("aws-cli/")
        # A service's model is read, and found valid: the parameters are what is missing.
        script = "aws ssm put-parameter --region us-east-1 2>&1 || true"
        assert "--name" in run(standin_image, "sh", "-c", script)
        found = run(standin_image, "dcv-python", "-c", IMPORT_CLIENT)
        assert found.startswith("36.")

    def test_the_installed_packages_are_recorded(self, standin_image: str) -> None:
        recorded = run(standin_image, "cat", "/usr/share/dcv-image/packages.txt")
        query = "dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n' | LC_ALL=C sort"

        assert recorded == run(standin_image, "sh", "-c", query)
        for name in ("nice-dcv-server", "nice-xdcv", "python3", "libgl1-mesa-dri", "xauth"):
            assert f"\n{name} " in recorded

    def test_nothing_is_left_of_the_build(self, standin_image: str) -> None:
        folders = ["/var/lib/apt/lists", "/var/cache/apt", "/var/log", "/tmp", "/run", "/root"]
        found = run(standin_image, "find", *folders, "-type", "f", "-size", "+0", "-not", "-name", ".*")

        assert found.split() == []

    def test_a_second_build_gives_the_same_image_and_keeps_no_credentials(
        self,
        standin_image: str,
        standin: StandIn,
        debian: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Every step anew, with package sources of a mirror whose file holds credentials."""
        without_cache(monkeypatch, tmp_path / "bin")
        again = f"{standin_image}-again"
        with Engine.private() as engine:
            sources = engine.read_file(debian, "/etc/apt/sources.list", "base-image").decode()
            (standin.archive.parent / "mirror.list").write_text(f"# {CANARY}\n{sources}")
            build_image(engine, standin, debian, again, **{"os-packages-mirror": "mirror.list"})
            one, other = (engine.inspect(name, "base-image") for name in (standin_image, again))
            if one.digest != other.digest:
                both = [saved_layers(engine, name, tmp_path) for name in (standin_image, again)]
                assert differing_files(*both) == {}
            engine.save(again, tmp_path / "image.tar")
            engine.remove(again)
        assert one.digest == other.digest
        searched = ["grep", "--quiet", "--binary-files=text", CANARY, str(tmp_path / "image.tar")]
        assert subprocess.run(searched, check=False).returncode == 1

    @pytest.mark.parametrize("sign", ["by another key", "not at all"])
    def test_a_package_that_the_vendor_did_not_sign_is_not_installed(
        self,
        standin_image: str,
        debian: str,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        sign: str,
    ) -> None:
        with signing_key() as key, signing_key() as stranger:
            bad = make(
                tmp_path,
                key,
                lambda members, own: (
                    unsigned(members) if sign == "not at all" else signed_by_debsigs(members, stranger)
                ),
            )
        before = sorted(docker("image", "ls", "--all", "--quiet").split())

        with Engine.private() as engine, pytest.raises(UserError):
            build_image(engine, bad, debian, "localhost/never:made")

        shown = capfd.readouterr().out
        assert "manifest parameter `dcv-archive`: nice-dcv-server" in shown
        assert ("carries no signature" if sign == "not at all" else "not of the pinned key") in shown
        assert sorted(docker("image", "ls", "--all", "--quiet").split()) == before
