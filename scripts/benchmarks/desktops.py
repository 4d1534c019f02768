"""How soon the desktops show something, how soon they stop, and how large their images are.

Every start is a new container, launched as kVDI's manager would launch it. Time runs from the moment at which
the container's first process began to the moment at which a client has the whole picture.
"""

import gzip
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desktops import pictures, pod
from desktops.docker import Docker
from desktops.images import Workshop
from desktops.launch import Family, Launch
from desktops.pod import Pod
from localcloud.engine import SERVICE, clean_up_engine, ensure_engine
from localcloud.layout import Layout
from localcloud.progress import Progress
from localcloud.services import Services

from .result import Goal, Report, Result

# The manager's hook sends the second; to systemd, the first says: start yourself anew (systemd(1)).
_HOOK = signal.SIGRTMIN + 3
STOP_SIGNALS = {Family.SUPERVISORD: (int(signal.SIGTERM), _HOOK), Family.SYSTEMD: (_HOOK,)}
REFERENCE = (1280, 720)  # pixels: the size in which a desktop starts
CALIBRATIONS = 5
MEGABYTE = 1_000_000
# As their registries and documents state them; compressed where they say so.
PEER_SIZES = {
    "ConSol headless VNC": 1150.0,
    "LinuxServer selkies (Debian)": 900.0,
    "tiny-remote-desktop": 267.0,
}


@dataclass(frozen=True)
class Lab:
    """What is measured, and with what.

    Attributes:
        bias: by how many seconds the engine notes a start later than the process began.
    """

    docker: Docker
    workshop: Workshop
    bias: float

    def launch(self, name: str) -> Launch:
        """An image as the manager of 2021 launches it, with the least that it needs."""
        family = Family.SYSTEMD if "-systemd-" in name else Family.SUPERVISORD
        return Launch(self.workshop.image(name), family, restricted=True)

    def first_pictures(self, name: str, runs: int, finished: Callable[[Pod], None]) -> list[float]:
        """Seconds to the picture that `finished` waits for, of each start."""
        launch = self.launch(name)
        found = []
        for _ in range(runs):
            with pod.running(self.docker, launch) as desktop:
                finished(desktop)
                found.append(time.time() - desktop.started_at + self.bias)
        return found

    def stops(self, name: str, runs: int, finished: Callable[[Pod], None]) -> list[float]:
        """Seconds from each documented signal, sent when `finished` is content, to the container's end."""
        launch = self.launch(name)
        found = []
        for number in STOP_SIGNALS[launch.family]:
            for _ in range(runs):
                with pod.running(self.docker, launch) as desktop:
                    finished(desktop)
                    found.append(desktop.signal(number))
        return found

    def gzip_megabytes(self, name: str) -> float:
        """What the image's layers weigh in a registry: each one's tar archive through gzip."""
        reference = self.launch(name).image
        with subprocess.Popen(
            [self.docker.program, "save", reference],
            env={**os.environ, **self.docker.environment},
            stdout=subprocess.PIPE,
        ) as saving:
            counted = _Counter()
            with gzip.GzipFile(fileobj=counted, mode="wb", compresslevel=6, mtime=0) as packed:
                while saving.stdout and (part := saving.stdout.read(1 << 20)):
                    packed.write(part)
        if saving.returncode:
            raise subprocess.CalledProcessError(saving.returncode, saving.args)
        return counted.size / MEGABYTE


class _Counter:
    """A file that only counts."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, content: bytes) -> int:
        """Take note of the length."""
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        """Nothing is kept."""


def measure(runs: int) -> Report:
    """Start, stop and weigh the desktops that the goals are about."""
    layout, progress = Layout.from_environment(), Progress()
    services = Services(layout.run, layout.logs)
    ran_before = services.find(SERVICE) is not None
    engine = ensure_engine(layout, services, progress)
    try:
        docker = Docker(engine.program, engine.environment)
        workshop = Workshop(docker, layout.cache, progress.say)
        bias = _bias(docker, workshop.image("debian-supervisord-base"))
        return _report(Lab(docker, workshop, bias), runs, progress)
    finally:
        if not ran_before and services.find(SERVICE):
            services.stop(SERVICE)
            clean_up_engine(layout)


def _report(lab: Lab, runs: int, progress: Progress) -> Report:
    results = []
    for name, image, goal, finished in (
        ("first_frame_base_p95_s", "debian-supervisord-base", 0.3, _first_frame),
        ("first_frame_systemd_p95_s", "debian-systemd-base", 0.7, _first_frame),
        ("painted_xfce4_p95_s", "debian-supervisord-xfce4", 1.3, _painted_xfce4),
    ):
        with progress.step(f"{image}: {runs} starts"):
            results.append(_late(name, lab.first_pictures(image, runs, finished), goal))
    for name, image, most in (
        ("base_gzip_mb", "debian-supervisord-base", 140.0),
        ("xfce4_gzip_mb", "debian-supervisord-xfce4", 220.0),
    ):
        with progress.step(f"{image}: size"):
            results.append(
                Result(name, "MB", lab.gzip_megabytes(image), Goal("ours", "<=", most), PEER_SIZES)
            )
    stops: list[float] = []
    for image, finished in (
        ("debian-supervisord-base", _first_frame),
        ("debian-systemd-base", _first_frame),
        ("debian-supervisord-xfce4", _first_frame),  # while it starts
        ("debian-supervisord-xfce4", _painted_xfce4),
        ("debian-systemd-xfce4", _painted_xfce4),
    ):
        with progress.step(f"{image}: stops"):
            stops += lab.stops(image, max(runs // 10, 3), finished)
    slowest = Result(
        "stop_s", "s", max(stops), Goal("ours", "<=", 1.0), {}, {"ours": (min(stops), max(stops))}
    )
    notes = (
        "p95 of new containers; from the start of the first process to the whole picture at a client. "
        f"The engine notes a start {lab.bias * 1000:+.0f} ms after it: that is added.",
        "Painted: the picture is like the reference picture that the tests keep.",
        "stop_s: the slowest by any documented signal, of base and Xfce in both families, painted and "
        "while it starts. Peers' sizes are those that they publish.",
    )
    return Report([*results, slowest], _versions(lab), notes)


def _late(name: str, seconds: Sequence[float], goal: float) -> Result:
    """The 95th percentile, with the range."""
    late = statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Result(name, "s", late, Goal("ours", "<=", goal), {}, {"ours": (min(seconds), max(seconds))})


def _first_frame(desktop: Pod) -> None:
    with desktop.connect() as client:
        client.screenshot()


def _painted_xfce4(desktop: Pod) -> None:
    reference = pictures.read(pictures.reference("xfce4", REFERENCE))
    with desktop.connect() as client:
        client.wait_for_picture(lambda picture: pictures.is_like(picture, reference), 60.0)


def _bias(docker: Docker, image: str) -> float:
    """Median of how much later than the process itself the engine notes its start."""
    found = []
    for _ in range(CALIBRATIONS):
        made = docker.run("create", "--network=none", "--entrypoint=date", image, "+%s.%N").strip()
        try:
            docker.run("start", "--attach", made)
            began = float(docker.run("logs", made))
            found.append(docker.started_at(made) - began)
        finally:
            docker.run("rm", "--force", made)
    return statistics.median(found)


def _versions(lab: Lab) -> dict[str, str]:
    server = lab.docker.run("version", "--format={{.Server.Version}}").strip()
    listed = lab.docker.run(
        "run", "--rm", "--network=none", "--entrypoint=cat",
        lab.launch("debian-supervisord-base").image, "/usr/share/kvdi-desktops/packages.txt",
    )  # fmt: skip
    wanted = ("tigervnc-standalone-server", "supervisor")
    packages = {line.split()[0]: line.split()[1] for line in listed.splitlines()}
    return {"docker": server, **{name: packages[name] for name in wanted if name in packages}}
