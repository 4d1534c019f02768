"""Who is measured, each in its best configuration, with the same list of images."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalogue import TAG, Image
from .lab import MODULE, environment
from .peers import Peers
from .process import Command

OURS = "ours"
CRANE_PARALLEL = (8, 16, 32)
# Faults: as often as somebody patient would say; crane retries by itself and has no setting for it.
_RETRIES = ("--retry-times", "10", "--retry-delay", "200ms")


@dataclass(frozen=True)
class Job:
    """What is to be copied from where to where.

    Attributes:
        source: port of the source registry, or of what stands before it.
        destination: likewise.
        folder: files of the contender; the same folder makes the same job a repeated one.
    """

    images: Sequence[Image]
    source: int
    destination: int
    folder: Path

    def pairs(self) -> list[tuple[str, str]]:
        """(source, destination) of every image."""
        return [
            (
                f"127.0.0.1:{self.source}/{image.repository}:{TAG}",
                f"127.0.0.1:{self.destination}/{target(image)}:{TAG}",
            )
            for image in self.images
        ]


def target(image: Image) -> str:
    """The repository that an image is copied to, as `skopeo sync` names it."""
    return f"mirror/{image.repository.rpartition('/')[2]}"


def ours(job: Job) -> Command:
    """The module's own command, with its lock."""
    images = job.folder / "images.json"
    images.write_text(json.dumps([{"src": src, "target": dst} for src, dst in job.pairs()]), "utf-8")
    words = (sys.executable, "-m", "dockerimage_replication", "copy", str(images))
    lock = ("--lock", str(job.folder / "images.lock"))
    return _command(OURS, (*words, *lock), job, {"PYTHONPATH": str(MODULE)})


def skopeo_sync(peers: Peers, job: Job, *, patient: bool = False) -> Command:
    """One `skopeo sync` of everything.

    Args:
        patient: retry each image and go on after one that fails.
    """
    source = {"tls-verify": False, "images": {image.repository: [TAG] for image in job.images}}
    images = job.folder / "sync.yaml"
    images.write_text(json.dumps({f"127.0.0.1:{job.source}": source}), "utf-8")  # JSON is YAML
    words = (*peers.skopeo, "--insecure-policy", "sync", "--all", "--src", "yaml", "--dest", "docker")
    options = ("--dest-tls-verify=false", *((*_RETRIES, "--keep-going") if patient else ()))
    return _command("skopeo", (*words, *options, str(images), f"127.0.0.1:{job.destination}/mirror"), job)


def skopeo_copy(peers: Peers, job: Job) -> Command:
    """One `skopeo copy` of the job's only image."""
    ((source, destination),) = job.pairs()
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    words = (*peers.skopeo, "--insecure-policy", "copy", "--all", *plain)
    return _command("skopeo", (*words, f"docker://{source}", f"docker://{destination}"), job)


def crane(peers: Peers, job: Job, parallel: int) -> Command:
    """One `crane copy` for each image, so many of them at a time."""
    images = job.folder / "images.txt"
    images.write_text("".join(f"{source} {destination}\n" for source, destination in job.pairs()), "utf-8")
    words = ("xargs", "-a", str(images), "-n", "2", "-P", str(parallel), *peers.crane, "copy")
    return _command(f"crane x{parallel}", words, job)


def _command(name: str, words: Sequence[str], job: Job, variables: dict[str, str] | None = None) -> Command:
    return Command(name, words, job.folder, environment(job.folder, variables))
