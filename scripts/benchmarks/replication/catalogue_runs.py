"""The catalogue far away: copied to an empty registry, and once more when there is nothing to do."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.progress import Progress

from ..result import Goal, Result
from . import contenders
from .catalogue import catalogue
from .contenders import CRANE_PARALLEL, OURS, Job
from .lab import Lab, Relay
from .latency_check import round_trip_ms
from .peers import Peers
from .process import Command
from .trial import Contender, Source, checked, in_turn, publish

IMAGES = 70


@dataclass
class Times:
    """Seconds of each run, by contender."""

    cold: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    again: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def measure_catalogue(
    lab: Lab, peers: Peers, runs: int, progress: Progress
) -> tuple[list[Result], list[str]]:
    """Every contender copies everything `runs` times, in turn, each time to an empty registry.

    Returns:
        The results, and notes on the relays.
    """
    with progress.step(f"publishing {IMAGES} images"):
        source = publish(lab, catalogue(IMAGES))
    relay = lab.relay(source.registry.port)
    delay = round_trip_ms(relay.port)
    times = Times()
    busy: dict[str, list[float]] = defaultdict(list)
    competitors = _contenders(peers)
    for number in range(runs):
        for name in in_turn(list(competitors), number):
            share = _one(lab, source, relay, competitors[name], times)
            busy[name].append(share)
            cold, again = times.cold[name][-1], times.again[name][-1]
            progress.say(
                f"catalogue, round {number + 1} of {runs}: {name} {cold:.2f} s, again {again:.2f} s "
                f"(relays: {share:.2f} s of processor time)"
            )
    shares = ", ".join(f"{name} {sum(values) / len(values):.2f} s" for name, values in busy.items())
    notes = [
        f"relays: {delay:.1f} ms there and back, measured; processor time per pair of runs: {shares}",
        f"catalogue: {IMAGES} images for 2 architectures, {source.content_bytes / 2**20:.0f} MiB",
    ]
    return _results(times), notes


def _contenders(peers: Peers) -> dict[str, Contender]:
    def crane(parallel: int) -> Contender:
        def command(job: Job) -> Command:
            return contenders.crane(peers, job, parallel)

        return command

    found: dict[str, Contender] = {
        OURS: contenders.ours,
        "skopeo": lambda job: contenders.skopeo_sync(peers, job),
    }
    return found | {f"crane x{parallel}": crane(parallel) for parallel in CRANE_PARALLEL}


def _one(lab: Lab, source: Source, relay: Relay, contender: Contender, times: Times) -> float:
    """A cold run and one with nothing to do; the processor time of the relays meanwhile."""
    destination = lab.registry()
    far = lab.relay(destination.port)
    before = relay.cpu_seconds
    command = contender(Job(source.images, relay.port, far.port, lab.new_folder()))
    for kind in (times.cold, times.again):
        kind[command.name].append(checked(lab, command, source, destination).seconds)
    used = relay.cpu_seconds - before + far.cpu_seconds
    lab.stop(far)
    lab.stop(destination)
    return used


def _results(times: Times) -> list[Result]:
    return [
        _compared("catalogue_vs_skopeo_sync", times.cold, "skopeo", 25.0),
        _compared("catalogue_vs_crane", times.cold, "crane", 2.5),
        _compared("noop_vs_skopeo_sync", times.again, "skopeo", 50.0),
        _compared("noop_vs_crane", times.again, "crane", 3.0),
    ]


def _compared(name: str, seconds: Mapping[str, list[float]], peer: str, goal: float) -> Result:
    peers = {who: runs for who, runs in seconds.items() if who.startswith(peer)}
    return Result.of_runs(name, "s", seconds[OURS], Goal("ratio", ">=", goal), peers)
