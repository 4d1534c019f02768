"""What builds on a cluster ask of its parts, second by second, at a given number of builds an hour."""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOUR = 3600  # seconds


@dataclass(frozen=True)
class Costs:
    """What one build costs, in units of each part, by the moment at which it is due.

    Attributes:
        accepted: when the request comes.
        started: when its pod begins.
        ended: when its pod ends.
        each_second: whatever happens, in the whole deployment.
    """

    accepted: Mapping[str, float]
    started: Mapping[str, float]
    ended: Mapping[str, float]
    each_second: Mapping[str, float]


@dataclass(frozen=True)
class Load:
    """What comes in.

    Attributes:
        builds: in one hour, at random moments (a Poisson process).
        pods: that may be there at a time.
        seconds: median time of a build, from the Job's creation to its end; the times are log-normal.
        spread: standard deviation of their logarithm.
    """

    builds: int
    pods: int
    seconds: float
    spread: float = 0.6


@dataclass(frozen=True)
class Outcome:
    """An hour of it.

    Attributes:
        waits: seconds that each build waited for a pod, sorted.
        busiest: part -> units in its busiest second.
        mean: part -> units in a second, over the hour.
        most_pods: at a time.
    """

    waits: list[float]
    busiest: Mapping[str, float]
    mean: Mapping[str, float]
    most_pods: int

    @property
    def wait_p95(self) -> float:
        """Seconds that 95 of 100 builds waited at most."""
        return self.waits[int(0.95 * (len(self.waits) - 1))]


def simulate(load: Load, costs: Costs, seed: int = 20) -> Outcome:
    """One hour; the same seed gives the same hour."""
    numbers = random.Random(seed)  # noqa: S311 - no secret
    arrivals = sorted(numbers.uniform(0, HOUR) for _ in range(load.builds))
    places = [0.0] * load.pods  # when each pod's place is free
    used: dict[int, Counter[str]] = {}
    waits, changes = [], []
    for arrival in arrivals:
        begun = max(arrival, heapq.heappop(places))
        ended = begun + load.seconds * numbers.lognormvariate(0, load.spread)
        heapq.heappush(places, ended)
        waits.append(begun - arrival)
        changes += [(begun, 1), (ended, -1)]
        for moment, due in ((arrival, costs.accepted), (begun, costs.started), (ended, costs.ended)):
            used.setdefault(int(moment), Counter()).update(due)
    parts = {*costs.accepted, *costs.started, *costs.ended, *costs.each_second}
    seconds = max(HOUR, *used)
    return Outcome(
        waits=sorted(waits),
        busiest={part: _always(costs, part) + max(each[part] for each in used.values()) for part in parts},
        mean={
            part: _always(costs, part) + sum(each[part] for each in used.values()) / seconds for part in parts
        },
        most_pods=_most(changes),
    )


def breaks_first(load: Load, costs: Costs, capacity: Mapping[str, float]) -> tuple[str, int]:
    """The part whose mean need reaches its capacity (units a second) first, and the builds an hour then.

    Raises:
        ValueError: no part has a capacity.
    """
    found = []
    for part, most in capacity.items():
        one = sum(due.get(part, 0.0) for due in (costs.accepted, costs.started, costs.ended))
        if one:
            found.append((int((most - _always(costs, part)) / one * HOUR), part))
    found.append((int(load.pods / (load.seconds * _mean_factor(load)) * HOUR), "pods"))
    builds, part = min(found)
    return part, builds


def _always(costs: Costs, part: str) -> float:
    return costs.each_second.get(part, 0.0)


def _mean_factor(load: Load) -> float:
    """Mean of the log-normal times, in medians."""
    return float(2.718281828459045 ** (load.spread**2 / 2))


def _most(changes: Iterable[tuple[float, int]]) -> int:
    """The highest sum on the way; what ends at a moment makes room for what begins at it."""
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
