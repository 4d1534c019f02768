"""One target's loop: at once, again, bounded, and whatever happens to others."""

import itertools
import threading
from collections.abc import Callable, Mapping

import pytest
from dcv_server.publication import target as target_module
from dcv_server.publication.errors import PublicationError
from dcv_server.publication.target import LONGEST_RETRY_SECONDS, TargetLoop, retry_seconds
from hypothesis import given, settings
from hypothesis import strategies as st

SECONDS = 60  # for an event to come, on a machine that is busy with other tests


class Scripted:
    """A target that does as told and says when it was asked."""

    name = "a target"

    def __init__(self, behaviour: Callable[[int], None]) -> None:
        self._behaviour = behaviour
        self._asked = threading.Condition()
        self.values: list[Mapping[str, str]] = []

    def ensure(self, values: Mapping[str, str]) -> None:
        with self._asked:
            self.values.append(dict(values))
            number = len(self.values)
            self._asked.notify_all()
        self._behaviour(number)

    def wait_for(self, count: int) -> None:
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.values) >= count, SECONDS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without waiting."""
    monkeypatch.setattr(target_module, "retry_seconds", lambda _: 0.01)
    monkeypatch.setattr(target_module, "VERIFY_SECONDS", 0.01)


def started(target: Scripted, log: list[str] | None = None) -> TargetLoop:
    loop = TargetLoop(target, (log if log is not None else []).append)
    loop.start()
    return loop


def test_nothing_is_published_before_there_is_a_display() -> None:
    target = Scripted(lambda _: None)

    loop = started(target)

    assert loop.state().verified_at is None
    assert target.values == []


@pytest.mark.usefixtures("quick")
def test_a_target_that_refuses_is_tried_again_until_it_takes_the_values() -> None:
    def refuse_twice(number: int) -> None:
        if number < 3:
            raise PublicationError("not yet")

    target, log = Scripted(refuse_twice), []
    loop = started(target, log)
    loop.want({"display": ":1"})
    target.wait_for(4)

    assert loop.state().verified_at is not None
    assert loop.state().problem is None
    assert log == [
        "cannot publish to a target, trying again: not yet",
        "published {'display': ':1'} to a target",
    ]


@pytest.mark.usefixtures("quick")
def test_a_surprise_does_not_end_the_retries() -> None:
    def surprise(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError

    target = Scripted(surprise)
    loop = started(target)
    loop.want({"display": ":1"})
    target.wait_for(3)

    assert loop.state().verified_at is not None


def test_another_display_is_published_at_once_and_the_old_one_no_longer_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target_module, "VERIFY_SECONDS", 3600.0)
    hold = threading.Event()
    target = Scripted(lambda number: None if number == 1 else _require(hold.wait(SECONDS)))
    loop = started(target)
    loop.want({"display": ":1"})
    target.wait_for(1)

    loop.want({"display": ":2"})
    target.wait_for(2)

    assert loop.state().verified_at is None
    hold.set()
    assert [values["display"] for values in target.values] == [":1", ":2"]


def test_the_same_display_again_waits_for_the_next_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "VERIFY_SECONDS", 3600.0)
    target = Scripted(lambda _: None)
    loop = started(target)
    for _ in range(3):
        loop.want({"display": ":1"})
    target.wait_for(1)

    loop.want({"display": ":2"})
    target.wait_for(2)

    assert [values["display"] for values in target.values] == [":1", ":2"]


@pytest.mark.usefixtures("quick")
def test_a_target_that_hangs_holds_no_other_up() -> None:
    hold = threading.Event()
    hanging = Scripted(lambda _: _require(hold.wait(SECONDS)))
    working = Scripted(lambda _: None)
    loops = [started(hanging), started(working)]
    for loop in loops:
        loop.want({"display": ":1"})
    working.wait_for(3)

    assert [loop.state().verified_at is not None for loop in loops] == [False, True]
    hold.set()


@given(st.integers(min_value=1, max_value=10**6))
@settings(deadline=None)
def test_waits_between_retries_are_bounded(failures: int) -> None:
    assert 0 < retry_seconds(failures) <= LONGEST_RETRY_SECONDS


def test_waits_grow_and_differ() -> None:
    longest = [max(retry_seconds(failures) for _ in range(200)) for failures in range(1, 5)]

    assert all(later > earlier for earlier, later in itertools.pairwise(longest))
    assert len({retry_seconds(5) for _ in range(20)}) > 1


def _require(found: bool) -> None:
    assert found
