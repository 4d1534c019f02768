"""The whole publication: a real API server with the chart's Role, an emulated SSM, and outages of both."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dcv_gate import Gate
from dcv_pod import CONFIG_MAP, Pod
from dcv_server.publication import configmap, parameters
from dcv_server.publication.configmap import ConfigMap
from dcv_server.publication.errors import PublicationError
from dcv_server.publication.parameters import Parameters
from dcv_server.publication.publisher import Publisher, publish, targets
from dcv_server.publication.settings import PublicationSettings
from dcv_server.publication.state import STALE_SECONDS, PublisherState, problem
from dcv_server.publication.state import read as read_state
from dcv_server.publication.target import Target
from dcv_ssm import DISPLAY, NAMES, SOCKETS, EmulatedAws

SOCKET_FOLDER = "/var/addf/dcv-eks/sockets"
IMAGE = Path(__file__).resolve().parents[2] / "image"
SECONDS = 90  # for what has to come, on a machine that is busy with other tests


@dataclass
class Watched:
    """A target whose attempts are counted."""

    target: Target
    attempts: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.target.name

    def ensure(self, values: Mapping[str, str]) -> None:
        begun = time.monotonic()
        try:
            self.target.ensure(values)
        except PublicationError:
            self.attempts.append((begun, False))
            raise
        self.attempts.append((begun, True))

    def failures_since(self, moment: float) -> int:
        """How many attempts that began since then failed."""
        return sum(1 for begun, succeeded in self.attempts if begun >= moment and not succeeded)


class Running:
    """A publisher beside a session whose display the test decides."""

    def __init__(self, pod: Pod, aws: EmulatedAws, state_file: Path) -> None:
        self.pod, self.aws = pod, aws
        self.kubernetes = Gate(pod.control_plane.port)
        self.display: str | None = None
        environment = {**pod.environment, "KUBERNETES_SERVICE_PORT": str(self.kubernetes.port)}
        self.watched = [
            Watched(ConfigMap(CONFIG_MAP, environment, pod.folder)),
            Watched(Parameters(NAMES, aws.environment())),
        ]
        self._state_file = state_file
        self._publisher = Publisher(
            list(self.watched), SOCKET_FOLDER, display=lambda: self.display, state_file=state_file
        )
        self._thread = threading.Thread(target=self._publisher.run, daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """What `--ready` says."""
        return problem(self.display or "", self._state_file)

    def knows_by(self) -> float:
        """The moment from which the state tells that a target is late, whenever somebody looks."""
        verified = [target.verified_at for target in read(self._state_file).targets]
        return min(at for at in verified if at is not None) + STALE_SECONDS

    def is_ready(self) -> bool:
        return self.problem() is None

    def published(self) -> list[str | None]:
        """The display in the ConfigMap and in SSM."""
        return [self.pod.published().get("display"), self.aws.published().get(DISPLAY)]

    def stop(self) -> None:
        self._publisher.stop()
        self._thread.join(SECONDS)
        self.kubernetes.shut()


@pytest.fixture
def running(pod: Pod, aws: EmulatedAws, tmp_path: Path) -> Iterator[Running]:
    made = Running(pod, aws, tmp_path / "publication.json")
    yield made
    made.stop()


def read(state_file: Path) -> PublisherState:
    """The publisher's state, which is there."""
    found = read_state(state_file)
    assert found is not None
    return found


def eventually(what: str, look: Callable[[], bool]) -> None:
    """Wait for something that comes without an event."""
    end = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.05)


def test_right_after_the_start_and_after_each_change_of_the_display(running: Running) -> None:
    assert not running.is_ready()
    for display in (":1", ":2", ":1"):
        running.display = display
        eventually(f"{display} is published", running.is_ready)

        assert running.published() == [display, display]
        assert running.pod.published()["socket_mount_path"] == SOCKET_FOLDER
        assert running.pod.published()["xauthority"] == f"/tmp/.X11-unix/xauthority-{display[1:]}"
        assert running.aws.published()[SOCKETS] == SOCKET_FOLDER


def test_a_display_that_changed_is_not_ready_before_it_is_published(running: Running) -> None:
    running.display = ":1"
    eventually("it is published", running.is_ready)
    running.kubernetes.shut()
    running.aws.gate.shut()
    running.display = ":2"

    assert "it is :2, the publisher knows :1" in (running.problem() or "")


@pytest.mark.parametrize("down", ["kubernetes", "ssm", "both"])
@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_one_retry_after_an_outage_everything_is_right(
    running: Running, down: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = {
        "kubernetes": [running.kubernetes],
        "ssm": [running.aws.gate],
        "both": [running.kubernetes, running.aws.gate],
    }[down]
    running.display = ":1"
    eventually("it is published", running.is_ready)
    for gate in gates:
        gate.shut() if how == "refused" else gate.keep_waiting()
    running.display = ":2"  # what is published during the outage reaches only the other target

    names = {"kubernetes": ["API server"], "ssm": ["SSM at"], "both": ["API server", "SSM at"]}[down]
    eventually("the outage is found", lambda: all(name in (running.problem() or "") for name in names))
    expected = {"kubernetes": [":1", ":2"], "ssm": [":2", ":1"], "both": [":1", ":1"]}[down]
    eventually("the other target has the new display", lambda: running.published() == expected)

    # An answer that is late because the machine is busy is no failure of what follows.
    for module in (configmap, parameters):
        monkeypatch.setattr(module, "SECONDS", 60.0)
    for gate in gates:
        gate.open()
    back = time.monotonic()
    eventually("it is published again", running.is_ready)

    assert running.published() == [":2", ":2"]
    assert [watched.failures_since(back) for watched in running.watched] == [0, 0]


def test_an_outage_is_found_within_ten_seconds_though_the_value_is_right(running: Running) -> None:
    running.display = ":1"
    eventually("it is published", running.is_ready)
    running.aws.gate.keep_waiting()
    begun = time.monotonic()

    eventually("the outage is found", lambda: not running.is_ready())

    assert running.knows_by() < begun + 10
    assert "SSM at" in (running.problem() or "")


def test_a_configmap_that_is_deleted_is_found_and_filled_when_it_is_back(running: Running) -> None:
    running.display = ":1"
    eventually("it is published", running.is_ready)
    running.pod.remove_config_map()

    eventually("its absence is found", lambda: "does not exist" in (running.problem() or ""))
    running.pod.make_config_map()
    eventually("it is filled", running.is_ready)

    assert set(running.pod.published()) == {"display", "socket_mount_path", "xauthority"}
    assert running.pod.published()["display"] == ":1"


def test_a_role_that_is_withdrawn_is_found(running: Running) -> None:
    running.display = ":1"
    eventually("it is published", running.is_ready)
    running.pod.withdraw_role()

    eventually("it is found", lambda: "(403)" in (running.problem() or ""))


ALONE = """
import sys
from pathlib import Path
from dcv_server.publication.publisher import Publisher
Publisher([], "/sockets", display=lambda: ":1", state_file=Path(sys.argv[1])).run()
"""


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "dead"])
def test_a_publisher_that_is_stopped_or_dead_is_found_within_ten_seconds(
    tmp_path: Path, fault: signal.Signals
) -> None:
    state_file = tmp_path / "publication.json"
    environment = {**os.environ, "PYTHONPATH": str(IMAGE)}
    process = subprocess.Popen([sys.executable, "-c", ALONE, str(state_file)], env=environment)
    try:
        eventually("it runs", lambda: problem(":1", state_file) is None)
        process.send_signal(fault)
        begun = time.monotonic()

        eventually("it is found", lambda: problem(":1", state_file) is not None)

        # The moment from which the file tells it, whenever this test came to look.
        assert read(state_file).written_at + STALE_SECONDS < begun + 10
        assert "dead or stopped" in (problem(":1", state_file) or "")
    finally:
        process.kill()
        process.wait()


def test_a_variable_that_is_not_set_turns_its_target_off() -> None:
    both = {"DCV_EKS_CONFIG_MAP_NAME": "x", "DCV_EKS_DISPLAY_PARAMETER_STORE": DISPLAY}

    def names(environment: dict[str, str]) -> list[str]:
        settings = PublicationSettings.from_environment(environment)
        return [target.name for target in targets(settings, environment)]

    assert names(both) == ["ConfigMap x", f"SSM parameters {DISPLAY}, {SOCKETS}"]
    assert names({**both, "DCV_EKS_CONFIG_MAP_NAME": ""}) == [f"SSM parameters {DISPLAY}, {SOCKETS}"]
    assert names({"DCV_EKS_CONFIG_MAP_NAME": "x"}) == ["ConfigMap x"]
    assert names({}) == []


def test_with_everything_turned_off_it_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert publish({}) == 0
    assert "turned off" in capsys.readouterr().err
