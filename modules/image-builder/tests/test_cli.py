"""The command line, as the deployspec runs it: from the module's folder."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "image_builder", *arguments]
    return subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)


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
