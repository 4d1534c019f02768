"""A pod on a real Kubernetes API server, and an emulated AWS."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from dcv_chart import Helm
from dcv_pod import Pod
from dcv_ssm import EmulatedAws, ScriptedAws
from support.emulator import Emulator, running_emulator
from support.kube.control_plane import ControlPlane
from support.pinned_env import cache_folder
from testing.helm import HelmUnavailableError, ensure_helm


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no AWS settings of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def pod(control_plane: ControlPlane, tmp_path: Path) -> Pod:
    try:
        helm = Helm(ensure_helm(cache_folder(), "3.17.3"))
    except HelmUnavailableError as error:
        pytest.skip(str(error))
    return Pod.installed(helm, control_plane, f"dcv-{uuid.uuid4().hex[:8]}", tmp_path / "serviceaccount")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def aws(emulator: Emulator) -> Iterator[EmulatedAws]:
    emulated = EmulatedAws(emulator)
    emulated.forget()
    yield emulated
    emulated.gate.shut()


@pytest.fixture
def scripted_aws() -> Iterator[ScriptedAws]:
    running = ScriptedAws()
    yield running
    running.close()
