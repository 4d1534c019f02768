"""The command line: `apply` hands its outputs to the stack, `destroy` says what it keeps."""

import subprocess
import sys
from pathlib import Path

import pytest
from image_builder.cli import main
from image_builder.shared.outputs import read_outputs

MODULE = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as the deployspec runs it: from the module's folder."""
    command = [sys.executable, "-m", "image_builder", *arguments]
    return subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)


def test_deploy_names_the_image_as_an_engine_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SEEDFARMER_PARAMETER_REGISTRY_ENDPOINTS", '{"docker.io": "https://mirror.example/hub"}'
    )

    assert main(["apply"]) == 0

    assert read_outputs() == {"EngineImage": "mirror.example/hub/library/debian:bookworm"}


def test_destroy_without_a_deploy_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["destroy"]) == 0

    assert "RETAIN" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("--help",), ("apply", "--help"), ("destroy", "--help")])
def test_help_is_printed(arguments: tuple[str, ...]) -> None:
    shown = run(*arguments)

    assert shown.returncode == 0
    assert "usage: python -m image_builder" in shown.stdout


def test_a_wrong_parameter_ends_in_one_message_and_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDFARMER_PARAMETER_RETENTION_TYPE", "KEEP")

    shown = run("apply")

    assert shown.returncode == 2
    assert "`retention-type`" in shown.stderr
    assert "Traceback" not in shown.stderr
