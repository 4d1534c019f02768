"""One line of a benchmark: medians, ratios and goals."""

import json

import pytest
from benchmarks.result import Goal, Result


def test_a_figure_is_the_median_of_its_runs_with_their_range() -> None:
    result = Result.of_runs("x", "s", [3.0, 1.0, 2.0], Goal("ours", "<=", 2.0), {"peer": [5.0, 4.0, 9.0]})
    assert (result.ours, result.peers, result.holds) == (2.0, {"peer": 5.0}, True)
    assert result.as_json()["min_max"] == {"ours": [1.0, 3.0], "peer": [4.0, 9.0]}


def test_the_ratio_is_against_the_best_peer() -> None:
    result = Result("x", "s", 2.0, Goal("ratio", ">=", 2.5), {"slow": 60.0, "quick": 5.0})
    assert result.ratio == 2.5
    assert result.holds
    assert not Result("x", "s", 2.1, Goal("ratio", ">=", 2.5), {"slow": 60.0, "quick": 5.0}).holds


@pytest.mark.parametrize(
    ("ours", "goal", "peers"),
    [
        (2.0, Goal("ours", "<=", 2.0), {}),
        (0.0, Goal("ours", "<=", 0.0), {"peer": 70.0}),
        (10.0, Goal("ours", ">=", 10.0), {"peer": 2.0}),
    ],
)
def test_there_is_no_ratio_without_a_meaning(ours: float, goal: Goal, peers: dict[str, float]) -> None:
    result = Result("x", "", ours, goal, peers)
    assert result.ratio is None
    assert result.holds
    assert json.loads(json.dumps(result.as_json()))["ratio"] is None


def test_a_ratio_that_is_wanted_and_cannot_be_had_is_no_success() -> None:
    assert not Result("x", "s", 1.0, Goal("ratio", ">=", 1.0)).holds
