"""What a run with nothing to do asks of either registry, counted by proxies in front of them."""

from localcloud.progress import Progress

from ..result import Goal, Result
from . import contenders
from .catalogue import catalogue
from .catalogue_runs import IMAGES
from .contenders import OURS, Job
from .lab import Lab
from .peers import Peers
from .trial import Contender, Source, checked, publish


def measure_requests(lab: Lab, peers: Peers, progress: Progress) -> list[Result]:
    """Copy, copy again, and count the second time; one run each, because nothing is left to chance."""
    with progress.step(f"publishing {IMAGES} images"):
        source = publish(lab, catalogue(IMAGES))
    competitors: dict[str, Contender] = {
        OURS: contenders.ours,
        "skopeo": lambda job: contenders.skopeo_sync(peers, job),
        "crane": lambda job: contenders.crane(peers, job, contenders.CRANE_PARALLEL[0]),
    }
    at_source: dict[str, float] = {}
    at_destination: dict[str, float] = {}
    for name, contender in competitors.items():
        at_source[name], at_destination[name] = _count(lab, source, contender)
        progress.say(
            f"nothing to do: {name} sends {at_source[name]:.0f} requests to the source, "
            f"{at_destination[name]:.0f} to the destination"
        )
    lab.stop(source.registry)
    per_image = {name: requests / IMAGES for name, requests in at_destination.items()}
    return [
        Result(
            "noop_dest_requests_per_image",
            "requests",
            per_image.pop(OURS),
            Goal("ours", "<=", 1.0),
            per_image,
        ),
        Result("noop_source_requests", "requests", at_source.pop(OURS), Goal("ours", "<=", 0.0), at_source),
    ]


def _count(lab: Lab, source: Source, contender: Contender) -> tuple[int, int]:
    destination = lab.registry()
    near, far = lab.double(source.registry.port), lab.double(destination.port)
    command = contender(Job(source.images, near.port, far.port, lab.new_folder()))
    checked(lab, command, source, destination)
    near.clear()
    far.clear()
    checked(lab, command, source, destination)
    counts = near.statistics()["requests"], far.statistics()["requests"]
    lab.stop_double(near)
    lab.stop_double(far)
    lab.stop(destination)
    return counts
