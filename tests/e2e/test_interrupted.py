"""An apply that is interrupted or killed anywhere: nothing goes on behind it, and the next one converges."""

import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.local import TWO_MODULES, LocalCloud, copy_repository

pytestmark = pytest.mark.engine

SECONDS_TO_END = 60.0

# A line of progress at which the run is ended, and how.
MOMENTS = [
    ("replication-images: build: python -m dockerimage_replication apply", signal.SIGKILL),
    ("desktops-dcv: build: python -m dcv_image apply", signal.SIGINT),
]
MORE_MOMENTS = [
    (moment, number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    for moment in (
        "deploying local",
        "replication-images: install",
        "replication-images: build: cdk deploy",
        "replication-images: build: seedfarmer metadata",
        "replication-images: build succeeded",
        "desktops-dcv: build: python -m dcv_image apply",
        "desktops-dcv: build: cdk deploy",
    )
]


def test_an_apply_that_is_ended_anywhere_is_continued_by_the_next(cloud: LocalCloud, tmp_path: Path) -> None:
    project = copy_repository(tmp_path / "project", TWO_MODULES)
    moments = MOMENTS + (MORE_MOMENTS if os.environ.get("AIRGAP_LONG") else [])
    data = project / "data" / "local_dockerimage-replication" / "versions" / "1.33.yaml"
    for moment, number in moments:
        data.write_text(f"{data.read_text()}# before {number.name} at {moment}\n")  # both are due again
        end_at(cloud, project, moment, number)
        assert still_running(cloud) == [], f"{number.name} at {moment}: a build went on"
    cloud.must("apply", project=project)
    assert "nothing to do" in cloud.must("apply", project=project).stderr
    cloud.must("destroy", project=project)
    assert {name for name in cloud.inventory().repositories if name.startswith("airgap-")} == set()


def end_at(cloud: LocalCloud, project: Path, moment: str, number: signal.Signals) -> None:
    """Start an apply, and signal the command itself, as `kill` would, when it says the moment has come."""
    process = subprocess.Popen(
        [str(cloud.checkout / "scripts" / "local"), "apply"],
        env={**cloud.environment, "LOCAL_PROJECT_DIR": str(project)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if moment in line:
            process.send_signal(number)
            break
    else:
        pytest.fail(f"the apply never said {moment!r}:\n{''.join(said)}")
    rest = process.stderr.read()
    process.wait(timeout=60)
    assert "Traceback" not in rest
    assert process.returncode == (-number if number == signal.SIGKILL else 130)


def still_running(cloud: LocalCloud) -> list[str]:
    """Processes of SeedFarmer or a build of this cloud that have not ended within the time they get."""
    deadline = time.monotonic() + SECONDS_TO_END
    return [command for pid, command in builds(cloud) if not ends(pid, deadline - time.monotonic())]


def ends(pid: int, seconds: float) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], max(seconds, 0))[0])
    finally:
        os.close(descriptor)


def builds(cloud: LocalCloud) -> list[tuple[int, str]]:
    """Processes of SeedFarmer and of builds of this cloud, with their command lines."""
    words = ("seedfarmer", "build.sh", "agent")
    return [(pid, command) for pid, command in cloud.processes() if any(word in command for word in words)]
