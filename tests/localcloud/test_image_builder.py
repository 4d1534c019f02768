"""The build service of the local cloud: what the engine is told, what lies where, and what ends with what.

The engine and the service are stand-ins here; `tests/e2e/test_cycle.py` has the real ones.
"""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.engine import Engine
from localcloud.errors import LocalCloudError
from localcloud.image_builder import ImageBuilder
from localcloud.layout import Layout
from localcloud.outputs import Outputs
from localcloud.progress import Progress

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
SECRETS = {
    "DCRX_KV_SECRET_KEY": "the-key-that-nobody-sees",
    "DCRX_KV_ADMIN_USERNAME": "admin",
    "DCRX_KV_ADMIN_PASSWORD": "the-password-that-nobody-sees",
}
# Writes down how it is called, and keeps one container: a file.
ENGINE = """\
#!/bin/sh
echo "$@" >> {folder}/calls
env >> {folder}/environment
case $1 in
run) touch {folder}/container ;;
rm) rm -f {folder}/container ;;
inspect) [ -e {folder}/container ] && echo true ;;
logs) echo "why it did not start" ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    program = tmp_path / "docker"
    program.write_text(ENGINE.format(folder=tmp_path))
    program.chmod(0o755)
    return Engine("docker", str(program), {})


@pytest.fixture
def answering() -> Iterator[int]:
    """A port of 127.0.0.1 on which everything is answered with 200."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def builder(tmp_path: Path, answering: int, monkeypatch: pytest.MonkeyPatch) -> ImageBuilder:
    monkeypatch.setattr(ImageBuilder, "_secrets", lambda *_: dict(SECRETS))
    variables = {"LOCAL_STATE_DIR": str(tmp_path / "state"), "LOCAL_PORT_BASE": str(answering - 3)}
    return ImageBuilder(Layout.from_environment(variables))


def outputs(digest: str = "0") -> Outputs:
    """Those of the module."""
    image = f"{REGISTRY}/airgap-image-builder@sha256:{digest * 64}"
    environment = json.dumps({"DOCKER_REGISTRY_URI": f"https://{REGISTRY}/team"})
    return {
        "builders-images": {
            "ImageBuilderImageDigestUri": image,
            "ImageBuilderEnvironment": environment,
            "ImageBuilderSecretName": "key",
            "ImageBuilderAdministratorSecretName": "administrator",
        }
    }


def calls(tmp_path: Path, word: str) -> list[str]:
    """The engine's calls that begin with a word."""
    lines = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
    return [line for line in lines if line.startswith(word)]


def test_a_deployment_without_it_starts_nothing(
    builder: ImageBuilder, engine: Engine, tmp_path: Path
) -> None:
    builder.ensure(engine, "airgap/local", {"desktops-dcv": {"DCVImageUri": "x"}}, Progress())

    assert calls(tmp_path, "") == []
    assert not builder.folder.exists()


def test_it_is_started_by_digest_from_the_registry_and_listens_on_loopback(
    builder: ImageBuilder, engine: Engine, tmp_path: Path
) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())

    (run,) = calls(tmp_path, "run")
    assert f"127.0.0.1:{builder.layout.emulator_port}/airgap-image-builder@sha256:000" in run
    assert "--network host" in run
    assert "DCRX_KV_LISTEN_HOST=127.0.0.1" in (builder.folder / "variables").read_text()
    assert builder.running(engine) is not None


def test_secrets_are_in_files_of_the_service_and_nowhere_else(
    builder: ImageBuilder, engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())

    said = capfd.readouterr()
    seen = [
        said.out,
        said.err,
        *(path.read_text() for path in (tmp_path / "calls", tmp_path / "environment")),
    ]
    seen += [(builder.folder / name).read_text() for name in ("variables", "running.json")]
    assert [text for text in seen if "nobody-sees" in text] == []
    assert f"cat {builder.password_file}" in said.err
    assert builder.password_file.stat().st_mode & 0o777 == 0o600
    assert builder.password_file.parent.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        assert builder.password_file.stat().st_uid == 1000


def test_it_goes_on_when_nothing_has_changed_and_starts_anew_when_its_image_has(
    builder: ImageBuilder, engine: Engine, tmp_path: Path
) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())
    (builder.folder / "data" / "dcrx").write_text("users and jobs")
    builder.ensure(engine, "airgap/local", outputs(), Progress())
    assert len(calls(tmp_path, "run")) == 1

    builder.ensure(engine, "airgap/local", outputs("1"), Progress())

    assert len(calls(tmp_path, "run")) == 2
    assert (builder.folder / "data" / "dcrx").read_text() == "users and jobs"


def test_with_other_secrets_it_starts_without_the_users_of_the_old_ones(
    builder: ImageBuilder, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())
    (builder.folder / "data" / "dcrx").write_text("users and jobs")
    monkeypatch.setattr(ImageBuilder, "_secrets", lambda *_: {**SECRETS, "DCRX_KV_SECRET_KEY": "another"})

    builder.ensure(engine, "airgap/local", outputs(), Progress())

    assert not (builder.folder / "data" / "dcrx").exists()


def test_it_ends_with_its_own_deployment_alone(builder: ImageBuilder, engine: Engine, tmp_path: Path) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())

    builder.stop_of(engine, "airgap/other")
    assert builder.running(engine) is not None

    builder.stop_of(engine, "airgap/local")
    assert builder.running(engine) is None
    assert not builder.folder.exists()
    assert not (tmp_path / "container").exists()
    assert builder.stop(engine) is False


@pytest.fixture
def broken(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every container ends at once."""
    monkeypatch.setattr("localcloud.image_builder.answers", lambda *_: lambda: False)
    Path(engine.program).write_text(ENGINE.format(folder=tmp_path).replace("touch", "true"))


@pytest.mark.usefixtures("broken")
def test_one_that_ends_while_it_starts_shows_its_log(
    builder: ImageBuilder, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(LocalCloudError, match=r"(?s)image-builder did not start.*why it did not start"):
        builder.ensure(engine, "airgap/local", outputs(), Progress())

    assert builder.running(engine) is None
    assert calls(tmp_path, "rm")[-1].endswith(calls(tmp_path, "run")[0].split()[3])


def test_a_start_that_fails_keeps_users_and_jobs_for_the_next_one(
    builder: ImageBuilder, engine: Engine, request: pytest.FixtureRequest
) -> None:
    builder.ensure(engine, "airgap/local", outputs(), Progress())
    (builder.folder / "data" / "dcrx").write_text("users and jobs")
    request.getfixturevalue("broken")

    with pytest.raises(LocalCloudError):
        builder.ensure(engine, "airgap/local", outputs("1"), Progress())

    assert (builder.folder / "data" / "dcrx").read_text() == "users and jobs"


@pytest.mark.usefixtures("broken")
def test_destroy_removes_what_a_start_that_failed_has_left(builder: ImageBuilder, engine: Engine) -> None:
    with pytest.raises(LocalCloudError):
        builder.ensure(engine, "airgap/local", outputs(), Progress())

    builder.stop_of(engine, "airgap/local")

    assert not builder.folder.exists()
