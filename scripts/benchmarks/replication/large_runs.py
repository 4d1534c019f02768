"""Layers of 2 GiB between registries on this machine: how fast one is, and how much memory four take."""

import os
from collections import defaultdict

from localcloud.progress import Progress

from ..result import Goal, Result
from . import contenders
from .catalogue import large_image
from .contenders import OURS, Job
from .lab import Lab
from .peers import Peers
from .process import Run
from .trial import Contender, Source, checked, in_turn, publish

LAYER_BYTES = 2 * 2**30
LAYERS_AT_ONCE = 4
DISK_GIB_ONE = 5  # one layer at the source and one at a destination
DISK_GIB_FOUR = 17


def measure_blob(lab: Lab, peers: Peers, runs: int, progress: Progress) -> list[Result]:
    """One layer, copied by everybody in turn."""
    lab.need_disk(DISK_GIB_ONE)
    with progress.step("publishing a layer of 2 GiB"):
        source = publish(lab, [large_image("large/one", 1, LAYER_BYTES)])
    competitors: dict[str, Contender] = {
        OURS: contenders.ours,
        "skopeo": lambda job: contenders.skopeo_copy(peers, job),
        "crane": lambda job: contenders.crane(peers, job, 1),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(runs):
        for name in in_turn(list(competitors), number):
            seconds[name].append(_one(lab, source, competitors[name]).seconds)
            progress.say(f"2 GiB, round {number + 1} of {runs}: {name} {seconds[name][-1]:.2f} s")
    lab.stop(source.registry)
    ours = seconds.pop(OURS)
    return [Result.of_runs("blob_vs_best_peer", "s", ours, Goal("ratio", ">=", 1.0), seconds)]


def measure_memory(lab: Lab, runs: int, progress: Progress) -> list[Result]:
    """Four layers at once, copied by us."""
    lab.need_disk(DISK_GIB_FOUR)
    with progress.step(f"publishing {LAYERS_AT_ONCE} layers of 2 GiB"):
        source = publish(lab, [large_image("large/four", LAYERS_AT_ONCE, LAYER_BYTES)])
    peaks = []
    for number in range(runs):
        done = _one(lab, source, contenders.ours, watch_memory=True)
        peaks.append(done.peak_mib)
        progress.say(
            f"{LAYERS_AT_ONCE} x 2 GiB, round {number + 1} of {runs}: "
            f"{done.peak_mib:.0f} MiB, {done.seconds:.1f} s"
        )
    lab.stop(source.registry)
    return [Result.of_runs("four_layers_rss_mib", "MiB", peaks, Goal("ours", "<=", 120.0))]


def _one(lab: Lab, source: Source, contender: Contender, *, watch_memory: bool = False) -> Run:
    destination = lab.registry()
    os.sync()  # nobody pays for what the one before has not written yet
    command = contender(Job(source.images, source.registry.port, destination.port, lab.new_folder()))
    done = checked(lab, command, source, destination, watch_memory=watch_memory)
    lab.stop(destination)
    return done
