"""Puts the module's folder on the import path, as SeedFarmer does by running in it."""

import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(MODULE))


@pytest.fixture(autouse=True)
def _seedfarmer_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deployment's environment and a working folder of the test's own."""
    monkeypatch.setenv("SEEDFARMER_PROJECT_NAME", "airgap")
    monkeypatch.setenv("SEEDFARMER_DEPLOYMENT_NAME", "test")
    monkeypatch.setenv("SEEDFARMER_MODULE_NAME", "group-module")
    monkeypatch.chdir(tmp_path)
