"""What `check_healthy.sh --ready` concludes from the publisher's state file."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dcv_server.publication.state import STALE_SECONDS, PublisherState, TargetState, problem, write

DISPLAY = ":2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "publication.json"


def state(age: float = 0.0, display: str | None = DISPLAY, *targets: TargetState) -> PublisherState:
    return PublisherState(time.monotonic() - age, display, list(targets))


def target(age: float | None = 0.0, why: str | None = None) -> TargetState:
    return TargetState("ConfigMap x", None if age is None else time.monotonic() - age, why)


def test_a_target_verified_just_now_is_current(path: Path) -> None:
    write(state(0.0, DISPLAY, target()), path)

    assert problem(DISPLAY, path) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "the publisher has not started"),
        (lambda: state(STALE_SECONDS + 0.1, DISPLAY, target()), "the publisher is dead or stopped"),
        (lambda: state(-60.0, DISPLAY, target()), "the publisher is dead or stopped"),
        (lambda: state(0.0, None, target()), "it is :2, the publisher knows None"),
        (lambda: state(0.0, ":1", target()), "it is :2, the publisher knows :1"),
        (lambda: state(0.0, DISPLAY, target(None)), "ConfigMap x: no answer yet"),
        (lambda: state(0.0, DISPLAY, target(None, "it is gone")), "ConfigMap x: it is gone"),
        (lambda: state(0.0, DISPLAY, target(STALE_SECONDS + 0.1, "it is gone")), "ConfigMap x: it is gone"),
    ],
    ids=[
        "never started",
        "old",
        "from before the machine's last start",
        "no session",
        "other display",
        "hanging from the start",
        "refused from the start",
        "refused for a while",
    ],
)
def test_each_fault_is_told_apart(
    path: Path, make: Callable[[], PublisherState | None], message: str
) -> None:
    written = make()
    if written is not None:
        write(written, path)

    assert message in (problem(DISPLAY, path) or "")


def test_one_late_target_is_named_beside_one_that_is_current(path: Path) -> None:
    late = TargetState("SSM parameters y", None, "throttled")
    write(state(0.0, DISPLAY, target(), late), path)

    assert problem(DISPLAY, path) == "the display is not published: SSM parameters y: throttled"


def test_one_missed_verification_is_no_alarm(path: Path) -> None:
    write(state(0.0, DISPLAY, target(STALE_SECONDS / 2, "no answer within 3 s")), path)

    assert problem(DISPLAY, path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"written_at": "x"}', "null"])
def test_a_broken_file_is_no_traceback(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")

    assert problem(DISPLAY, path) is not None


def test_a_full_volume_leaves_the_last_state(path: Path) -> None:
    write(state(0.0, DISPLAY, target()), path)
    path.with_name(f".{path.name}.new").mkdir()  # writing fails as it would on a full volume

    with pytest.raises(OSError, match="directory"):
        write(state(0.0, ":9"), path)

    assert problem(DISPLAY, path) is None
