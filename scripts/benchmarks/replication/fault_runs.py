"""Copies while a fifth of all requests meets a fault: who gets everything across, and with how many bytes.

A seed decides which request meets which fault, the same for everybody. A contender survives a seed when it
ends with status 0 before the deadline and every digest is right.
"""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from localcloud.progress import Progress

from ..result import Goal, Result
from . import contenders
from .catalogue import catalogue
from .contenders import CRANE_PARALLEL, OURS, Job
from .lab import Lab
from .peers import Peers
from .trial import Contender, Source, publish, wrong

IMAGES = 5
SHARE = 0.2
SEEDS, ALL_SEEDS = 10, 200
DEADLINE = 90.0  # seconds
SIDE_BY_SIDE = 10  # such runs wait most of the time: for a pause to pass, or for a reply that hardly comes


@dataclass(frozen=True)
class _Outcome:
    """One run.

    Attributes:
        ratio: bytes of bodies at both registries, in what is needed when nothing goes wrong.
    """

    contender: str
    seed: int
    survived: bool
    seconds: float
    ratio: float


def measure_faults(lab: Lab, peers: Peers, seeds: int, progress: Progress) -> tuple[list[Result], list[str]]:
    """The seeds from 0, by everybody.

    Returns:
        The results, and a note on what was the same for all.
    """
    source = publish(lab, catalogue(IMAGES))
    competitors: dict[str, Contender] = {
        OURS: contenders.ours,
        "skopeo": lambda job: contenders.skopeo_sync(peers, job, patient=True),
        "crane": lambda job: contenders.crane(peers, job, CRANE_PARALLEL[0]),
    }
    survived: dict[str, float] = dict.fromkeys(competitors, 0.0)
    ratios: dict[str, list[float]] = defaultdict(list)
    for outcome in _outcomes(lab, source, competitors, seeds):
        survived[outcome.contender] += outcome.survived
        if outcome.survived or outcome.contender == OURS:  # a peer that gives up early transfers little
            ratios[outcome.contender].append(outcome.ratio)
        progress.say(
            f"faults, seed {outcome.seed}: {outcome.contender} "
            f"{'survived' if outcome.survived else 'FAILED'} in {outcome.seconds:.1f} s "
            f"with {outcome.ratio:.2f} times the bytes"
        )
    lab.stop(source.registry)
    worst = {name: max(values) for name, values in ratios.items()}
    note = (
        f"faults: {seeds} seeds, {SHARE:.0%} of the requests, {IMAGES} images, {DEADLINE:.0f} s at most; "
        "bytes are the worst of all runs (of those survived, for the peers), in what is needed without faults"
    )
    ours = survived.pop(OURS)
    return [
        Result("faults_survived", "runs", ours, Goal("ours", ">=", float(seeds)), survived),
        Result("faults_bytes_ratio", "times", worst.pop(OURS), Goal("ours", "<=", 1.3), worst),
    ], [note]


def _outcomes(lab: Lab, source: Source, competitors: dict[str, Contender], seeds: int) -> Iterator[_Outcome]:
    """Every contender's run with every seed, as they end."""
    tasks = [(name, contender, seed) for seed in range(seeds) for name, contender in competitors.items()]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            yield from pool.map(lambda task: _one(lab, source, *task), tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            lab.processes.kill_all()
            raise


def _one(lab: Lab, source: Source, name: str, contender: Contender, seed: int) -> _Outcome:
    destination = lab.registry()
    # Each side has its own faults; one seed would hit the same requests on both.
    faults = ("--fault-share", str(SHARE), "--fault-seed")
    near = lab.double(source.registry.port, *faults, str(2 * seed))
    far = lab.double(destination.port, *faults, str(2 * seed + 1))
    command = contender(Job(source.images, near.port, far.port, lab.new_folder()))
    done = lab.processes.run(command, deadline=DEADLINE)
    transferred = near.statistics()["received_bytes"] + far.statistics()["sent_bytes"]
    survived = done.status == 0 and not wrong(source, destination)
    lab.stop_double(near)
    lab.stop_double(far)
    lab.stop(destination)
    return _Outcome(name, seed, survived, done.seconds, transferred / (2 * source.content_bytes))
